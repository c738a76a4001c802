import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, it } from 'node:test'

import { chooseFreePort } from '../../src/lib/free-port.ts'
import type { Browser } from '../_browser.ts'
import { seedWorld } from '../fake-github/_client.ts'
import { startFakeGithub, type FakeGithub } from '../fake-github/start-fake-github.ts'
import { testApp } from './_apps.ts'
import { sendRequest } from './_http.ts'
import { readEverything, setUp } from './_identity.ts'
import { type Platform, startPlatform } from './_platform.ts'
import { waitFor } from './_wait-for.ts'

const SECRET = 'a-webhook-secret-of-the-test'
const GITHUB = '/api/integrations/github'

interface Project {
  id: string
  url: string
  source: string
  live_deployment: { commit: { sha: string } } | null
  github: { webhook: string; private: boolean } | null
}

type Scene = Awaited<ReturnType<typeof startScene>>

describe('private repositories of GitHub', () => {
  it('connects, deploys, redeploys once for each push, and leaves nothing behind', async () => {
    await using scene = await startScene()
    const { platform, fake } = scene
    const owner = await setUp(platform)
    await connect(scene, owner)
    const repoId = await findRepository(scene, owner)
    const project = await deployPrivate(scene, owner, repoId)
    await pushOnce(scene, project)
    await ignoreOthers(scene, project)
    await refuseForgeries(scene, project)
    await deployManually(scene, owner)
    await keepTokensToOurselves(platform, fake)
    await remove(scene, owner, project)
    await platform.stopAll()
  })
})

/** The App's webhook and those of repositories are both there: each push is told twice. */
async function startScene() {
  const fake = await startFakeGithub()
  const port = await chooseFreePort()
  const base = `http://localhost:${port}`
  const world = await seedWorld(fake)
  fake.deleteRepository(world)
  const repository = await fake.addRepository({
    owner: 'acme',
    name: 'shop',
    private: true,
    files: testApp({ version: 'one' }),
  })
  const app = await fake.createApp({
    owner: 'ada',
    name: 'Deployer',
    permissions: { contents: 'read', metadata: 'read', repository_hooks: 'write' },
    events: ['push', 'repository'],
    callbackUrls: [`${base}${GITHUB}/callback`],
    hook: { url: `${base}${GITHUB}/webhook`, secret: SECRET },
  })
  const installation = fake.installApp(app, 'acme')
  await fake.settled()
  const started = await startPlatform({
    gitHostPort: fake.port,
    environment: {
      NANOSCALE_PORT: String(port),
      // Only what GitHub tells makes anybody look.
      NANOSCALE_POLL_INTERVAL_SECONDS: '3600',
      NANOSCALE_GITHUB_APP_ID: String(app.id),
      NANOSCALE_GITHUB_APP_CLIENT_ID: app.clientId,
      NANOSCALE_GITHUB_APP_CLIENT_SECRET: app.clientSecret,
      NANOSCALE_GITHUB_APP_PRIVATE_KEY: app.privateKey.replaceAll('\n', String.raw`\n`),
      NANOSCALE_GITHUB_WEBHOOK_SECRET: SECRET,
      NANOSCALE_GITHUB_WEB_URL: fake.webUrl,
      NANOSCALE_GITHUB_API_URL: fake.apiUrl,
    },
  })
  const platform: Platform = Object.assign(started, { port })
  return {
    fake,
    platform,
    repository,
    installation,
    base,
    [Symbol.asyncDispose]: async () => {
      await platform[Symbol.asyncDispose]()
      await fake[Symbol.asyncDispose]()
    },
  }
}

async function connect({ fake, base }: Scene, owner: Browser): Promise<void> {
  const { url } = await owner.must('POST', `${GITHUB}/start`, {})
  fake.actAs({ login: 'ada' })
  const response = await fetch(String(url), { redirect: 'manual' })
  const back = response.headers.get('location') ?? ''
  assert.ok(back.startsWith(base), back)
  const landed = await owner.send('GET', back.slice(base.length))
  assert.equal(landed.status, 303, landed.text)
  const status = await owner.must('GET', `${GITHUB}/status`)
  assert.deepEqual([status['connected'], status['login']], [true, 'ada'])
}

async function findRepository({ installation }: Scene, owner: Browser): Promise<number> {
  const body = { installation_id: installation.id }
  assert.equal((await owner.must('POST', `${GITHUB}/repos/sync`, body))['state'], 'done')
  const query = `installation_id=${installation.id}&query=SHOP`
  const { items } = await owner.must('GET', `${GITHUB}/repos?${query}`)
  const [found] = items as { repo_id: number; full_name: string; private: boolean }[]
  assert.equal(found?.full_name, 'acme/shop')
  assert.equal(found.private, true)
  return found.repo_id
}

async function deployPrivate(
  { platform, fake, repository, installation }: Scene,
  owner: Browser,
  repoId: number,
): Promise<Project> {
  const project = (await owner.must('POST', '/api/projects', {
    name: 'shop',
    github_source: {
      installation_id: installation.id,
      repo_id: repoId,
      selected_branch: 'main',
    },
  })) as unknown as Project
  assert.equal(project.source, 'github')
  assert.equal(project.github?.private, true)
  assert.equal(project.github.webhook, 'active')
  await waitForLive(platform, project, await fake.head(repository))
  assert.equal(await served(platform, project), 'one')
  return project
}

async function pushOnce(scene: Scene, project: Project): Promise<void> {
  const { platform, fake, repository } = scene
  const sha = await fake.push(repository, { files: { 'version.txt': 'two' } })
  await waitForLive(platform, project, sha)
  assert.equal(await served(platform, project), 'two')
  await quiet(scene)
  assert.equal((await deploymentsOf(platform, project)).length, 2)
  const told = fake.deliveries.filter(({ event }) => event === 'push')
  assert.equal(told.length, 2, "by the App's webhook and by the repository's")
  assert.deepEqual(
    told.map(({ statusCode }) => statusCode),
    [202, 202],
  )
}

async function ignoreOthers(scene: Scene, project: Project): Promise<void> {
  const { platform, fake, repository } = scene
  await fake.push(repository, { branch: 'other', files: { 'version.txt': 'other' } })
  await quiet(scene)
  assert.equal((await deploymentsOf(platform, project)).length, 2)
  assert.equal(await served(platform, project), 'two')
}

/** A body that nobody signed is refused; one that was signed once is a hint that changes nothing. */
async function refuseForgeries(scene: Scene, project: Project): Promise<void> {
  const { platform, fake, base } = scene
  const delivery = fake.deliveries.findLast(
    ({ event, url }) => event === 'push' && url.startsWith(`${base}${GITHUB}`),
  )
  assert.ok(delivery !== undefined)
  const { body } = delivery
  const send = (signature: string) =>
    sendRequest({
      port: platform.port,
      path: `${GITHUB}/webhook`,
      method: 'POST',
      headers: {
        host: new URL(base).host,
        'content-type': 'application/json',
        'x-github-event': 'push',
        'x-github-delivery': randomUUID(),
        'x-hub-signature-256': `sha256=${signature}`,
      },
      body,
      timeoutMs: 20_000,
    })
  assert.equal((await send('0'.repeat(64))).status, 401)
  const signature = createHmac('sha256', SECRET).update(body).digest('hex')
  const replayed = await send(signature)
  assert.ok(replayed.status < 300, replayed.text)
  await quiet(scene)
  assert.equal((await deploymentsOf(platform, project)).length, 2)
}

async function deployManually({ platform, fake }: Scene, owner: Browser): Promise<void> {
  const files = testApp({ version: 'open' })
  const open = await fake.addRepository({ owner: 'acme', name: 'open', files })
  const body = { name: 'open', repo_url: `${fake.webUrl}/acme/open.git`, branch: 'main' }
  const project = (await owner.must('POST', '/api/projects', body)) as unknown as Project
  assert.deepEqual([project.source, project.github], ['manual', null])
  await waitForLive(platform, project, await fake.head(open))
  assert.equal(await served(platform, project), 'open')
}

/** G-17 C-10 */
async function keepTokensToOurselves(platform: Platform, fake: FakeGithub): Promise<void> {
  const places = await readEverything(platform)
  const mirrors = path.join(platform.dataDirectory, 'mirrors')
  for (const file of await readdir(mirrors, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue
    const place = path.join(file.parentPath, file.name)
    places.set(place, await readFile(place))
  }
  assert.ok(fake.tokens.length > 2)
  for (const { token } of fake.tokens) {
    for (const [place, bytes] of places) {
      assert.ok(!bytes.includes(token), place)
    }
  }
}

async function remove(
  { fake, repository }: Scene,
  owner: Browser,
  project: Project,
): Promise<void> {
  const hooks = () =>
    [...fake.snapshot().state.hooks.values()].filter((hook) => hook.repositoryId === repository.id)
  assert.equal(hooks().length, 1)
  const removed = await owner.send('DELETE', `/api/projects/${project.id}`)
  assert.equal(removed.status, 202, removed.text)
  await waitFor('the webhook to be removed', 90_000, () => Promise.resolve(hooks().length === 0))
}

/** Everything that GitHub told was worked on. */
async function quiet({ fake, platform }: Scene): Promise<void> {
  await fake.settled()
  await waitFor('deliveries to be worked on', 20_000, async () => {
    const { items } = await platform.api<{ items: { state: string }[] }>('GET', '/api/deliveries')
    return items.every(({ state }) => state !== 'received')
  })
}

async function deploymentsOf(platform: Platform, { id }: Project): Promise<object[]> {
  const { items } = await platform.api<{ items: object[] }>(
    'GET',
    `/api/projects/${id}/deployments`,
  )
  return items
}

async function waitForLive(platform: Platform, { id }: Project, sha: string): Promise<void> {
  await waitFor(`${sha} to be live`, 60_000, async () => {
    const { live_deployment } = await platform.api<Project>('GET', `/api/projects/${id}`)
    return live_deployment?.commit.sha === sha
  })
}

async function served(platform: Platform, { url }: Project): Promise<string> {
  return (await platform.get(new URL(url).hostname, '/')).text
}
