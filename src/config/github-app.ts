import { OperationError } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { Config } from './config.ts'
import { readKeyFile, splitKeys } from './github-values.ts'

/** The GitHub App of the environment. */
export interface GithubAppSettings {
  appId: number
  clientId: string
  clientSecret: Secret
  /** The newest first. */
  privateKeys: readonly Secret[]
  webhookSecret: Secret
  apiUrl: string
  webUrl: string
}

type AppConfig = Pick<
  Config,
  | 'githubAppId'
  | 'githubAppClientId'
  | 'githubAppClientSecret'
  | 'githubAppPrivateKeyPath'
  | 'githubAppPrivateKey'
  | 'githubWebhookSecret'
  | 'githubApiUrl'
  | 'githubWebUrl'
>

/**
 * The App of the environment, with its private keys from wherever they are; null when none is configured. Throws
 * `config.invalid` when the file of the key changed since the configuration was read and is of no use now.
 */
export function readGithubApp(config: AppConfig): GithubAppSettings | null {
  const { githubAppId: appId, githubAppClientId: clientId } = config
  const { githubAppClientSecret: clientSecret, githubWebhookSecret: webhookSecret } = config
  const privateKeys = readKeys(config)
  // `findContradictions` refuses a part of them.
  if (appId === null || clientId === null || clientSecret === null) return null
  if (webhookSecret === null || privateKeys === null) return null
  const { githubApiUrl: apiUrl, githubWebUrl: webUrl } = config
  return { appId, clientId, clientSecret, privateKeys, webhookSecret, apiUrl, webUrl }
}

function readKeys(config: AppConfig): Secret[] | null {
  const { githubAppPrivateKey: key, githubAppPrivateKeyPath: path } = config
  if (key !== null) return splitKeys(key.reveal())
  if (path === null) return null
  const read = readKeyFile(path)
  if ('value' in read) return read.value
  throw new OperationError(
    'config.invalid',
    `Cannot read the configuration: NANOSCALE_GITHUB_APP_PRIVATE_KEY_PATH ${read.problem}`,
  )
}
