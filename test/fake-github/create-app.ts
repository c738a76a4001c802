import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

import { now } from './github.ts'
import type { Github } from './github.ts'
import type { Account, App, HookConfig } from './state.ts'
import { randomHex, randomText } from './tokens.ts'

export type AppDraft = Partial<
  Pick<
    App,
    | 'description'
    | 'permissions'
    | 'events'
    | 'callbackUrls'
    | 'setupUrl'
    | 'setupOnUpdate'
    | 'requestOauthOnInstall'
    | 'public'
    | 'expiringUserTokens'
    | 'url'
  >
> & { name: string; hook?: Partial<HookConfig> & { active?: boolean } }

/** An App and its first private key, which only whoever made it has. */
export async function registerApp(
  github: Github,
  owner: Account,
  draft: AppDraft,
): Promise<{ app: App; pem: string }> {
  const { name, hook, ...rest } = draft
  const key = await createKey()
  const app: App = {
    id: github.nextId(),
    clientId: `Iv23${randomText(16)}`,
    slug: toSlug(name),
    name,
    description: null,
    url: github.webUrl,
    ownerId: owner.id,
    clientSecrets: [randomHex(40)],
    publicKeys: [key.publicKey],
    permissions: { metadata: 'read' },
    events: [],
    hook: {
      url: '',
      contentType: 'json',
      secret: null,
      insecureSsl: '0',
      active: hook?.url !== undefined,
      ...hook,
    },
    callbackUrls: [],
    setupUrl: null,
    setupOnUpdate: false,
    requestOauthOnInstall: false,
    public: true,
    expiringUserTokens: true,
    createdAt: now(github),
    ...rest,
  }
  github.state.apps.set(app.id, app)
  return { app, pem: key.privateKey }
}

/** Names of Apps are unique over all of GitHub, by their slug. */
export function isNameTaken(github: Github, name: string): boolean {
  return [...github.state.apps.values()].some(({ slug }) => slug === toSlug(name))
}

function toSlug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}

/** RSA, 2048 bits, PKCS#1, as GitHub's are. */
export async function createKey(): Promise<{ publicKey: string; privateKey: string }> {
  return await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
}
