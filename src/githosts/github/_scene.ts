import type { CreatedApp } from '../../../test/fake-github/controls/app-controls.ts'
import { startFakeGithub, type FakeGithub } from '../../../test/fake-github/start-fake-github.ts'
import type { Clock } from '../../lib/clock.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/logger.ts'
import { Secret } from '../../lib/secret.ts'
import { createRedactor } from '../../secrets/redactor.ts'
import type { GithubApp } from '../github-host.ts'
import { createGithubHost, type GithubHostDeps } from './create-github-host.ts'

export const never = new AbortController().signal

/** A clock whose sleeps pass at once, as time. */
export function createJumpingClock(start = Date.now()): Clock & { move(ms: number): void } {
  let now = start
  const move = (ms: number) => {
    now += ms
  }
  return {
    now: () => now,
    move,
    sleep: (ms) => {
      move(ms)
      return Promise.resolve()
    },
  }
}

export function createHost(deps: Partial<GithubHostDeps> & Pick<GithubHostDeps, 'gitHosts'>) {
  return createGithubHost({
    clock: systemClock,
    redactor: createRedactor(),
    log: silentLogger,
    lookup: () => Promise.resolve(['127.0.0.1']),
    ...deps,
  })
}

/** How our side holds an App of the stand-in. */
export function toGithubApp(
  fake: Pick<FakeGithub, 'apiUrl' | 'webUrl'>,
  app: CreatedApp,
): GithubApp {
  return {
    integrationId: `integration-${app.id}`,
    appId: app.id,
    slug: app.slug,
    clientId: app.clientId,
    clientSecret: new Secret(app.clientSecret),
    privateKeys: [new Secret(app.privateKey)],
    apiUrl: fake.apiUrl,
    webUrl: fake.webUrl,
  }
}

/**
 * Ada owns acme and its private repository acme/shop, Bob is a member; an App of hers is installed on all of acme.
 * Everything ends when it is disposed of.
 */
export async function startScene(options: { clock?: Clock; hookUrl?: string } = {}) {
  await using stack = new AsyncDisposableStack()
  const clock = options.clock ?? systemClock
  const fake = stack.use(await startFakeGithub({ clock }))
  fake.addUser({ login: 'ada' })
  fake.addUser({ login: 'bob' })
  fake.addOrganization({ login: 'acme', members: { ada: 'admin', bob: 'member' } })
  const shop = await fake.addRepository({
    owner: 'acme',
    name: 'shop',
    private: true,
    files: { 'index.html': 'shop' },
  })
  const created = await fake.createApp({
    owner: 'ada',
    name: 'Deployer',
    permissions: { contents: 'read', repository_hooks: 'write', statuses: 'write' },
    events: ['push'],
    callbackUrls: ['http://127.0.0.1:1/callback'],
    ...(options.hookUrl === undefined ? {} : { hook: { url: options.hookUrl, secret: 's' } }),
  })
  const installation = fake.installApp(created, 'acme')
  const redactor = createRedactor()
  const host = stack.use(createHost({ clock, redactor, gitHosts: [fake.hostEntry] }))
  const closing = stack.move()
  return {
    fake,
    host,
    redactor,
    created,
    app: toGithubApp(fake, created),
    shop,
    installation,
    place: { installationId: installation.id, repoId: shop.id },
    /** For what a deployment takes. */
    readOrder: {
      installationId: installation.id,
      repositoryIds: [shop.id],
      permissions: { contents: 'read' },
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
