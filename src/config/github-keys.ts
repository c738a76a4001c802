import { key } from './config-key.ts'
import { absolutePath, originUrl, secret } from './config-values.ts'
import { apiUrl, exactId, privateKeyPem } from './github-values.ts'
import { word } from './identity-values.ts'

/** A GitHub App that the operator registered; without these keys Apps are made from the dashboard. */
export const GITHUB = {
  githubAppId: key({
    env: 'NANOSCALE_GITHUB_APP_ID',
    doc:
      'App ID of a GitHub App that you registered yourself. As soon as one setting of the App is there, all are needed: ' +
      'its id, client id, client secret, private key and webhook secret.',
    parse: exactId,
    default: null,
    defaultDoc: 'none',
    example: '123456',
  }),
  githubAppClientId: key({
    env: 'NANOSCALE_GITHUB_APP_CLIENT_ID',
    doc: 'Client ID of that App; its callback URL is `<public address>/api/integrations/github/callback`.',
    parse: word,
    default: null,
    defaultDoc: 'none',
    example: 'Iv23liABCDEFabcdef12',
  }),
  githubAppClientSecret: key({
    env: 'NANOSCALE_GITHUB_APP_CLIENT_SECRET',
    doc: 'Client secret of that App.',
    parse: secret,
    default: null,
    defaultDoc: 'none',
    example: '<from GitHub>',
    secret: true,
  }),
  githubAppPrivateKeyPath: key({
    env: 'NANOSCALE_GITHUB_APP_PRIVATE_KEY_PATH',
    doc:
      'File with a private key of that App, as GitHub gives it. Only the account of NanoScale should be able to read it. ' +
      'During a rotation both, the new one first.',
    parse: absolutePath,
    default: null,
    defaultDoc: 'none',
    example: '/etc/nanoscale/github-app.pem',
  }),
  githubAppPrivateKey: key({
    env: 'NANOSCALE_GITHUB_APP_PRIVATE_KEY',
    doc: 'The private key itself instead of a file; line breaks may be written as `\\n`.',
    parse: privateKeyPem,
    default: null,
    defaultDoc: 'none',
    example: '-----BEGIN RSA PRIVATE KEY-----…',
    secret: true,
  }),
  githubWebhookSecret: key({
    env: 'NANOSCALE_GITHUB_WEBHOOK_SECRET',
    doc: 'Secret of the webhook of that App; its URL is `<public address>/api/integrations/github/webhook`.',
    parse: secret,
    default: null,
    defaultDoc: 'none',
    example: '<openssl rand -hex 32>',
    secret: true,
  }),
  githubWebUrl: key({
    env: 'NANOSCALE_GITHUB_WEB_URL',
    doc: 'The GitHub that App is at: github.com, or an Enterprise Server that is also in NANOSCALE_GIT_HOSTS.',
    parse: originUrl,
    default: 'https://github.com',
    example: 'https://github.example.com',
  }),
  githubApiUrl: key({
    env: 'NANOSCALE_GITHUB_API_URL',
    doc: 'Where its API is.',
    parse: apiUrl,
    default: null,
    defaultDoc:
      'https://api.github.com, https://api.<host> for a host of ghe.com, else `/api/v3` of NANOSCALE_GITHUB_WEB_URL',
    example: 'https://github.example.com/api/v3',
  }),
}

/** Where the API is of the GitHub whose website is at `webUrl`, as GitHub documents it. */
export function githubApiUrlOf(webUrl: string): string {
  const { protocol, host, hostname } = new URL(webUrl)
  const isCloud = hostname === 'github.com' || hostname.endsWith('.ghe.com')
  return isCloud ? `${protocol}//api.${host}` : `${webUrl}/api/v3`
}
