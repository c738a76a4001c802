import { CONFIG_KEYS, type ConfigField } from './config-keys.ts'
import type { Config } from './config.ts'
import { isRsaKey, readKeyFile, splitKeys } from './github-values.ts'
import { isLoopbackHost } from './loopback.ts'

interface Contradiction {
  field: ConfigField
  problem: string
}

const APP_FIELDS = [
  'githubAppId',
  'githubAppClientId',
  'githubAppClientSecret',
  'githubAppPrivateKeyPath',
  'githubAppPrivateKey',
  'githubWebhookSecret',
] as const

/** The settings of the GitHub App that do not go together. */
export function checkGithub(config: Omit<Config, 'ignoredNames'>): Contradiction[] {
  return [...checkApp(config), ...checkKey(config), ...checkSite(config)]
}

/** Any of them means that the App is wanted. */
function checkApp(
  config: Pick<Config, (typeof APP_FIELDS)[number] | 'gitHosts' | 'githubWebUrl'>,
): Contradiction[] {
  const given = APP_FIELDS.find((field) => config[field] !== null)
  if (given === undefined) return []
  const { host } = new URL(config.githubWebUrl)
  const isAllowed = config.gitHosts.some((entry) => {
    return [host, `${host}:443`].includes(entry.replace(/@private$/, ''))
  })
  if (!isAllowed) {
    const problem = `needs ${host} besides: ${CONFIG_KEYS[given].env} is about an App there`
    return [{ field: 'gitHosts', problem }]
  }
  const { githubAppPrivateKey: key, githubAppPrivateKeyPath: path } = config
  if (key !== null && path !== null) {
    const { env } = CONFIG_KEYS.githubAppPrivateKeyPath
    return [{ field: 'githubAppPrivateKey', problem: `is set besides ${env}: give one of the two` }]
  }
  const hasKey = key !== null || path !== null
  return APP_FIELDS.filter((field) => config[field] === null)
    .filter((field) => field !== 'githubAppPrivateKey')
    .filter((field) => field !== 'githubAppPrivateKeyPath' || !hasKey)
    .map((field) => {
      const other =
        field === 'githubAppPrivateKeyPath' ? ' (or NANOSCALE_GITHUB_APP_PRIVATE_KEY)' : ''
      const problem = `is missing${other}: ${CONFIG_KEYS[given].env} is set and needs it`
      return { field, problem }
    })
}

/** Reads the file, if it is one: a start that fails later would say less. */
function checkKey(
  config: Pick<Config, 'githubAppPrivateKeyPath' | 'githubAppPrivateKey'>,
): Contradiction[] {
  const { githubAppPrivateKey: key, githubAppPrivateKeyPath: path } = config
  const keys = key === null ? null : splitKeys(key.reveal())
  if (keys !== null && (keys.length === 0 || !keys.every(isRsaKey))) {
    return [{ field: 'githubAppPrivateKey', problem: 'is no RSA private key as PEM' }]
  }
  const read = path === null ? null : readKeyFile(path)
  if (read === null || 'value' in read) return []
  return [{ field: 'githubAppPrivateKeyPath', problem: read.problem }]
}

/** Credentials are sent to both, so they must be one place. */
function checkSite(config: Pick<Config, 'githubWebUrl' | 'githubApiUrl'>): Contradiction[] {
  const web = new URL(config.githubWebUrl)
  const api = new URL(config.githubApiUrl)
  const found: Contradiction[] = []
  const readable = 'must be https: outside loopback credentials would be readable'
  if (web.protocol !== 'https:' && !isLoopbackHost(web.hostname)) {
    found.push({ field: 'githubWebUrl', problem: readable })
  }
  if (api.protocol !== 'https:' && !isLoopbackHost(api.hostname)) {
    found.push({ field: 'githubApiUrl', problem: readable })
  }
  if (api.host !== web.host && api.host !== `api.${web.host}`) {
    const problem = `is not at ${web.host}: set NANOSCALE_GITHUB_WEB_URL to the website of that API`
    found.push({ field: 'githubApiUrl', problem })
  }
  return found
}
