import { githubApiUrlOf } from '../config/github-keys.ts'
import type { GithubSite } from '../githosts/github-host.ts'
import { OperationError } from '../lib/errors.ts'

const GITHUB_COM = 'https://github.com'

/**
 * The GitHub at `url`, if the operator allows its host: github.com when null. `http` only for hosts marked `@private`.
 * Throws `integration.site_not_allowed`.
 */
export function findGithubSite(gitHosts: readonly string[], url: string | null): GithubSite {
  const wanted = URL.parse(url ?? GITHUB_COM)
  const isPlain =
    wanted !== null &&
    ['https:', 'http:'].includes(wanted.protocol) &&
    wanted.username === '' &&
    wanted.pathname === '/' &&
    `${wanted.search}${wanted.hash}` === ''
  const entry = isPlain ? gitHosts.find((host) => names(host, wanted)) : undefined
  if (!isPlain || entry === undefined) throw notAllowed(url, gitHosts)
  if (wanted.protocol === 'http:' && !entry.endsWith('@private')) throw notAllowed(url, gitHosts)
  return { webUrl: wanted.origin, apiUrl: githubApiUrlOf(wanted.origin) }
}

function names(host: string, url: URL): boolean {
  const name = host.replace(/@private$/, '').toLowerCase()
  const port = url.protocol === 'http:' ? 80 : 443
  return name === url.host || name === `${url.host}:${port}`
}

function notAllowed(url: string | null, gitHosts: readonly string[]): OperationError {
  const reason = `it is no address of an allowed host, which are ${gitHosts.join(', ') || 'none'}`
  return new OperationError(
    'integration.site_not_allowed',
    `Cannot use the GitHub at "${url ?? GITHUB_COM}": ${reason}`,
    { details: { github_url: [reason] } },
  )
}
