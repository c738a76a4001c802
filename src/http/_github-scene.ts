/** The API with a real stand-in of GitHub behind the real adapter: people, an App, and browsers that go there and back. */
import assert from 'node:assert/strict'

import { seedWorld } from '../../test/fake-github/_client.ts'
import { startFakeGithub, type FakeGithub } from '../../test/fake-github/start-fake-github.ts'
import type { Database } from '../database/database.ts'
import { createGithubHost } from '../githosts/github/create-github-host.ts'
import { ensureEnvironmentApp, type EnvironmentApp } from '../integrations/environment-app.ts'
import { listUsableApps } from '../integrations/github-apps.ts'
import { handleLifecycle, type LifecycleEvent } from '../integrations/handle-lifecycle.ts'
import { systemClock, toIsoTime, type Clock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { Secret } from '../lib/secret.ts'
import { createRedactor } from '../secrets/redactor.ts'
import { systemLookup } from '../sources/outbound-guard.ts'
import { PUBLIC_URL, testApp, type TestBrowser } from './_test-app.ts'

export const API = '/api/integrations/github'

interface SceneOptions {
  /** Of the App; `members` is what tells who owns an organization. */
  permissions?: Record<string, 'read' | 'write'>
  clock?: Clock
  /** Where the App's webhook goes; without it nothing is told. */
  hookUrl?: string
}

export type GithubScene = Awaited<ReturnType<typeof githubScene>>

/** Ada owns the organization acme, Bob is its member, Eve a stranger; the App is that of the environment. */
export async function githubScene(db: Database, options: SceneOptions = {}) {
  const clock = options.clock ?? systemClock
  const fake = await startFakeGithub({ clock })
  const repository = await seedWorld(fake)
  const made = await fake.createApp({
    owner: 'ada',
    name: 'Deployer',
    permissions: options.permissions ?? {
      contents: 'read',
      metadata: 'read',
      repository_hooks: 'write',
      members: 'read',
    },
    events: ['push', 'repository'],
    callbackUrls: [`${PUBLIC_URL}${API}/callback`],
    setupUrl: `${PUBLIC_URL}${API}/setup`,
    ...(options.hookUrl === undefined ? {} : { hook: { url: options.hookUrl, secret: 'x' } }),
  })
  const environmentApp: EnvironmentApp = {
    appId: made.id,
    clientId: made.clientId,
    clientSecret: new Secret(made.clientSecret),
    privateKeys: [new Secret(made.privateKey)],
    webhookSecret: new Secret('a-secret-of-the-environment'),
    apiUrl: fake.apiUrl,
    webUrl: fake.webUrl,
  }
  const gitHosts = [fake.hostEntry]
  const github = createGithubHost({
    clock,
    gitHosts,
    lookup: systemLookup,
    redactor: createRedactor(),
    log: silentLogger,
  })
  using plain = testApp(db)
  const test = testApp(db, {
    clock,
    github,
    environmentApp,
    config: { ...plain.app.config, gitHosts },
  })
  await ensureEnvironmentApp(test.app)
  const [app] = await listUsableApps(db, 'org-default')
  assert.ok(app !== undefined)
  return {
    fake,
    made,
    repository,
    test,
    github,
    integrationId: app.id,
    ...browsers(fake),
    [Symbol.asyncDispose]: async () => {
      test[Symbol.dispose]()
      await github[Symbol.asyncDispose]()
      await fake[Symbol.asyncDispose]()
    },
  }
}

function browsers(fake: FakeGithub) {
  /** Goes to GitHub as `login`, and gives the address that it is sent back to. */
  const visit = async (url: string, login: string): Promise<string> => {
    fake.actAs({ login })
    const response = await fetch(url, { redirect: 'manual' })
    await response.body?.cancel()
    const location = response.headers.get('location')
    assert.ok(location !== null, `${url}: ${response.status}`)
    return location.replace(PUBLIC_URL, '')
  }
  const start = async (person: TestBrowser, body: object = {}) => {
    const response = await person('POST', `${API}/start`, { body })
    assert.equal(response.status, 200, await response.clone().text())
    return (await response.json()) as { url: string; install_url: string | null }
  }
  /** The whole way: where the person is in the end. */
  const connect = async (person: TestBrowser, login: string, body: object = {}) => {
    const { url } = await start(person, body)
    return await land(person, await visit(url, login))
  }
  return { visit, start, connect }
}

/** Comes back from GitHub, and is sent on: the path, or the status and code of a refusal. */
export async function land(person: TestBrowser, path: string): Promise<string> {
  const response = await person('GET', path)
  if (response.status === 303) return response.headers.get('location') ?? ''
  const { code } = (await response.json()) as { code: string }
  return `${response.status} ${code}`
}

/** The body of an answer of this status. */
export async function expectJson<Body>(response: Response, status = 200): Promise<Body> {
  const text = await response.text()
  assert.equal(response.status, status, text)
  return JSON.parse(text) as Body
}

/** What the inbox makes of a delivery of the App's hook. */
export async function tell(scene: GithubScene, event: Partial<LifecycleEvent> & { event: string }) {
  return await handleLifecycle(
    scene.test.app,
    {
      integrationId: scene.integrationId,
      action: 'created',
      installationId: null,
      repoId: null,
      senderId: null,
      senderLogin: null,
      ...event,
    },
    AbortSignal.timeout(20_000),
  )
}

/** A project that deploys the repository of the scene through an installation; gives its id. */
export async function addLinkedProject(
  scene: GithubScene,
  link: { installationId: number; linkedBy?: string; name?: string },
): Promise<string> {
  const { db } = scene.test.app
  const body = {
    name: link.name ?? 'shop',
    repo_url: `${scene.fake.webUrl}/acme/shop`,
    branch: 'main',
  }
  const made = await scene.test.request('POST', '/api/projects', { body })
  const { id } = await expectJson<{ id: string }>(made, 201)
  const now = toIsoTime(scene.test.app.clock.now())
  await db
    .updateTable('projects')
    .set({ source_provider: 'github', source_repo_id: scene.repository.id })
    .where('id', '=', id)
    .execute()
  await db
    .insertInto('project_github_links')
    .values({
      id: newId(),
      organization_id: 'org-default',
      project_id: id,
      integration_id: scene.integrationId,
      installation_id: link.installationId,
      repo_id: scene.repository.id,
      repo_node_id: 'R_1',
      owner_login: 'acme',
      repo_name: 'shop',
      full_name: 'acme/shop',
      default_branch: 'main',
      selected_branch: 'main',
      webhook_id: null,
      hook_id: null,
      linked_by_user_id: link.linkedBy ?? null,
      active: true,
      inactive_reason: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
  return id
}

/** The link of the only project. */
export async function linkOf(db: Database) {
  return await db
    .selectFrom('project_github_links')
    .innerJoin('projects', 'projects.id', 'project_github_links.project_id')
    .select(['active', 'inactive_reason', 'full_name', 'projects.repo_url'])
    .executeTakeFirstOrThrow()
}
