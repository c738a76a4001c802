import { unescape } from 'node:querystring'

import type { Config } from './config.ts'
import { readGithubApp } from './github-app.ts'

/** What the configuration trusts us with: no message of a library shall carry it into a log. */
export function secretsOf(config: Config): string[] {
  const { database, smtpUrl, oidcClientSecret, clerkWebhookSecret } = config
  const urls = [database.engine === 'postgres' ? database.url : null, smtpUrl?.reveal() ?? null]
  const passwords = urls.flatMap((url) => (url === null ? [] : [new URL(url).password]))
  const app = readGithubApp(config)
  const ofApp = app === null ? [] : [app.clientSecret, app.webhookSecret, ...app.privateKeys]
  return [
    ...passwords,
    ...passwords.map((password) => unescape(password)),
    oidcClientSecret?.reveal() ?? '',
    ...(clerkWebhookSecret?.reveal().split(',') ?? []),
    ...ofApp.map((secret) => secret.reveal()),
  ]
}
