import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { ask, mint, seedApp, seedWorld } from './_client.ts'
import type { Json } from './_client.ts'
import type { CreatedApp } from './controls/app-controls.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'
import type { Installation } from './state.ts'

describe('repositories', () => {
  let fake: FakeGithub
  let app: CreatedApp
  let installation: Installation
  let auth: string
  const get = (path: string, headers: Record<string, string> = {}) => {
    return ask(fake, `GET ${path}`, { auth, headers })
  }
  const usedOf = async (): Promise<number> => (await get('/rate_limit')).body.rate.used

  before(async () => {
    fake = await startFakeGithub()
    await seedWorld(fake)
    app = await seedApp(fake, {
      permissions: { contents: 'read', statuses: 'write', deployments: 'write' },
      events: [],
    })
    installation = fake.installApp(app, 'acme')
    auth = await mint(fake, app, installation.id)
  })
  after(() => fake[Symbol.asyncDispose]())

  it('answers a branch again with 304 for nothing, until it moves', async () => {
    const path = '/repos/acme/shop/branches/main'
    const first = await get(path)
    const etag = first.headers.get('etag') ?? ''
    assert.equal(first.body.commit.sha, await fake.head('acme/shop'))
    const used = await usedOf()
    const again = await get(path, { 'if-none-match': etag })
    assert.deepEqual([again.status, again.text, await usedOf()], [304, '', used])
    const sha = await fake.push('acme/shop', { files: { a: 'b' } })
    const moved = await get(path, { 'if-none-match': etag })
    assert.deepEqual([moved.status, moved.body.commit.sha, await usedOf()], [200, sha, used + 1])
  })

  it('reads a head as a ref, as a commit and as bare text', async () => {
    const sha = await fake.push('acme/shop', { branch: 'feature/a', files: { a: 'c' } })
    const ref = await get('/repos/acme/shop/git/ref/heads/feature/a')
    assert.deepEqual(ref.body.object.sha, sha)
    const commit = await get('/repos/acme/shop/commits/feature%2Fa')
    assert.deepEqual([commit.body.sha, commit.body.parents.length], [sha, 1])
    const accept = 'application/vnd.github.sha'
    assert.equal((await get('/repos/acme/shop/commits/feature%2Fa', { accept })).text, sha)
    assert.equal((await get('/repos/acme/shop/branches/nowhere')).status, 404)
    assert.equal((await get('/repos/acme/shop/git/ref/heads/feature')).status, 404)
    assert.equal((await get('/repos/acme/shop/commits/nowhere')).status, 422)
    const search: Json[] = (await get('/repos/acme/shop/git/matching-refs/heads/fea')).body
    assert.deepEqual(
      search.map((item) => item.ref),
      ['refs/heads/feature/a'],
    )
  })

  it('answers 409 for a commit of an empty repository', async () => {
    await fake.addRepository({ owner: 'acme', name: 'empty' })
    assert.equal((await get('/repos/acme/empty/commits/main')).status, 409)
    assert.deepEqual((await get('/repos/acme/empty/branches')).body, [])
  })

  it('lists branches by pages with links', async () => {
    const head = await fake.head('acme/shop')
    const names = Array.from({ length: 5 }, (_item, index) => `refs/heads/page-${index}`)
    await fake.updateRefs('acme/shop', Object.fromEntries(names.map((name) => [name, head])))
    const seen: string[] = []
    let path: string | undefined = '/repos/acme/shop/branches?per_page=3'
    while (path !== undefined) {
      const { body, headers } = await get(path)
      seen.push(...body.map((branch: Json) => branch.name))
      const next = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1]
      path = next?.slice(fake.apiUrl.length)
    }
    assert.equal(new Set(seen).size, 7)
    assert.equal(seen.length, 7)
  })

  it('lists an inventory of any size', async () => {
    fake.addOrganization({ login: 'big', members: { ada: 'admin' } })
    for (let number = 0; number < 250; number += 1) {
      await fake.addRepository({ owner: 'big', name: `r${number}`, private: true })
    }
    const big = await mint(fake, app, fake.installApp(app, 'big').id)
    const line = 'GET /installation/repositories?per_page=100&page='
    const pages = await Promise.all([1, 2, 3].map((page) => ask(fake, line + page, { auth: big })))
    const ids = pages.flatMap(({ body }) => body.repositories.map(({ id }: Json) => id))
    assert.deepEqual([ids.length, new Set(ids).size, pages[0]?.body.total_count], [250, 250, 250])
    assert.match(pages[0]?.headers.get('link') ?? '', /page=3>; rel="last"/)
    // 5,000, and 50 more for each repository above 20.
    assert.equal(pages[0]?.headers.get('x-ratelimit-limit'), '12500')
  })

  it('answers the head before the last push by a fault', async () => {
    const before = await fake.head('acme/shop')
    const after = await fake.push('acme/shop', { files: { stale: '1' } })
    fake.faults.request({ kind: 'stale-refs' })
    const heads: string[] = []
    for (let time = 0; time < 2; time += 1) {
      heads.push((await get('/repos/acme/shop/git/ref/heads/main')).body.object.sha)
    }
    assert.deepEqual(heads, [before, after])
  })

  it('P-13 redirects from a former name until somebody uses it', async () => {
    const { id } = await fake.addRepository({ owner: 'acme', name: 'old', files: { a: '1' } })
    fake.rename('acme/old', 'new')
    const moved = await get('/repos/acme/old/branches?per_page=5')
    const location = `${fake.apiUrl}/repositories/${id}/branches?per_page=5`
    assert.deepEqual([moved.status, moved.headers.get('location')], [301, location])
    assert.equal((await get(`/repositories/${id}/branches`)).body.length, 1)
    assert.equal((await get(`/repositories/${id}`)).body.full_name, 'acme/new')
    const taker = await fake.addRepository({ owner: 'acme', name: 'old', files: { a: '2' } })
    assert.equal((await get('/repos/acme/old')).body.id, taker.id)
    assert.equal((await get(`/repositories/${id}`)).body.full_name, 'acme/new')
  })

  it('hides private repositories from strangers, and shows people what they may do', async () => {
    const roleOf = async (login: string) => {
      const { token } = fake.createPersonalToken(login)
      const { status, body } = await ask(fake, 'GET /repos/acme/shop', { auth: `token ${token}` })
      return status === 200 ? body.permissions : status
    }
    assert.equal((await roleOf('ada')).admin, true)
    const bob = await roleOf('bob')
    assert.deepEqual([bob.pull, bob.push], [true, false])
    assert.equal(await roleOf('eve'), 404)
    assert.equal((await ask(fake, 'GET /repos/acme/shop')).status, 404)
    fake.addCollaborator('acme/shop', 'eve', 'push')
    assert.equal((await roleOf('eve')).push, true)
  })

  it('keeps commit statuses, and combines the latest of each context', async () => {
    const sha = await fake.head('acme/shop')
    const set = (body: object) => ask(fake, `POST /repos/acme/shop/statuses/${sha}`, { auth, body })
    assert.equal((await set({ state: 'pending', context: 'deploy' })).status, 201)
    assert.equal((await set({ state: 'success', context: 'deploy' })).status, 201)
    assert.equal((await set({ state: 'done' })).status, 422)
    assert.equal((await set({ state: 'success', description: 'x'.repeat(141) })).status, 422)
    const { body } = await get('/repos/acme/shop/commits/main/status')
    assert.deepEqual([body.state, body.total_count, body.sha], ['success', 1, sha])
    assert.equal((await get('/repos/acme/shop/commits/main/statuses')).body.length, 2)
  })

  it('keeps deployments and their statuses, and retires the earlier ones', async () => {
    const post = async (path: string, body: object): Promise<Json> => {
      const reply = await ask(fake, `POST /repos/acme/shop/deployments${path}`, { auth, body })
      assert.equal(reply.status, 201, reply.text)
      return reply.body
    }
    const draft = { ref: 'main', environment: 'preview', auto_merge: false, required_contexts: [] }
    const first = await post('', draft)
    assert.equal(first.sha, await fake.head('acme/shop'))
    await post(`/${first.id}/statuses`, { state: 'success', environment_url: 'https://a.example' })
    const second = await post('', draft)
    await post(`/${second.id}/statuses`, { state: 'success' })
    const statuses: Json[] = (await get(`/repos/acme/shop/deployments/${first.id}/statuses`)).body
    assert.deepEqual(
      statuses.map(({ state }) => state),
      ['inactive', 'success'],
    )
    const listed: Json[] = (await get('/repos/acme/shop/deployments?environment=preview')).body
    assert.deepEqual(
      listed.map(({ id }) => id),
      [second.id, first.id],
    )
  })

  it('P-16 refuses writes to an archived repository, and still lets it be read', async () => {
    fake.setArchived('acme/shop', true)
    const line = `POST /repos/acme/shop/statuses/${await fake.head('acme/shop')}`
    assert.equal((await ask(fake, line, { auth, body: { state: 'success' } })).status, 403)
    assert.equal((await get('/repos/acme/shop')).body.archived, true)
    fake.setArchived('acme/shop', false)
  })
})
