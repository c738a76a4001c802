import { ApiError } from '../answer.ts'
import { readText } from '../router.ts'
import type { Call } from '../router.ts'
import type { HookConfig } from '../state.ts'

/** The configuration with what a request changes; what it does not name stays. */
export function mergeHookConfig(config: HookConfig, changes: Call['body']): HookConfig {
  const url = readText(changes, 'url') ?? config.url
  const contentType = readText(changes, 'content_type') ?? config.contentType
  const isOurs = /^https?:/.test(url) && URL.canParse(url)
  if (!isOurs || (contentType !== 'json' && contentType !== 'form')) {
    throw new ApiError(422, 'Validation Failed')
  }
  const secret = readText(changes, 'secret')
  const insecureSsl = readText(changes, 'insecure_ssl')
  return {
    url,
    contentType,
    // The mask of an answer that is sent back leaves the secret as it is.
    secret: secret === null || secret === '********' ? config.secret : secret,
    insecureSsl: insecureSsl === null ? config.insecureSsl : insecureSsl === '1' ? '1' : '0',
  }
}
