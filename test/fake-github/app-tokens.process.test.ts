import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { ask, mint, seedApp, seedWorld, toJwt } from './_client.ts'
import type { Claims } from './_client.ts'
import type { CreatedApp } from './controls/app-controls.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'
import type { Installation, Repository } from './state.ts'

const HOUR_MS = 3_600_000
const seconds = () => Math.floor(Date.now() / 1000)

describe('tokens of Apps', () => {
  let fake: FakeGithub
  let app: CreatedApp
  let shop: Repository
  let installation: Installation
  let later = 0
  const mintBy = (body: object, installationId = installation.id) => {
    const line = `POST /app/installations/${installationId}/access_tokens`
    return ask(fake, line, { auth: toJwt(app), body })
  }
  const tryJwt = async (claims: Claims, key?: string) => {
    const { status, body } = await ask(fake, 'GET /app', { auth: toJwt(app, claims, key) })
    return [status, body.message]
  }

  before(async () => {
    fake = await startFakeGithub({ clock: { now: () => Date.now() + later } })
    shop = await seedWorld(fake)
    await fake.addRepository({ owner: 'acme', name: 'docs', files: { a: 'b' } })
    app = await seedApp(fake)
    installation = fake.installApp(app, 'acme')
  })
  after(() => fake[Symbol.asyncDispose]())

  it('knows an App by its client id or id', async () => {
    const byClientId = await ask(fake, 'GET /app', { auth: toJwt(app) })
    const byId = await ask(fake, 'GET /app', { auth: toJwt(app, { iss: app.id }) })
    assert.deepEqual([byClientId.status, byId.status], [200, 200])
    assert.equal(byId.body.slug, 'deployer')
  })

  it('refuses tokens of the wrong algorithm, key, issuer or time', async () => {
    const undecodable = [401, 'A JSON web token could not be decoded']
    assert.deepEqual(await tryJwt({ alg: 'HS256' }), undecodable)
    const other = await seedApp(fake, { name: 'Other' })
    assert.deepEqual(await tryJwt({}, other.privateKey), undecodable)
    assert.deepEqual(await tryJwt({ iss: 'nobody' }), [404, 'Integration not found'])
    const [late, far, early] = await Promise.all([
      tryJwt({ exp: seconds() - 1 }),
      tryJwt({ exp: seconds() + 700 }),
      tryJwt({ iat: seconds() + 300 }),
    ])
    assert.match(String(late[1]), /'exp'\) must be/)
    assert.match(String(far[1]), /too far in the future/)
    assert.match(String(early[1]), /'iat'\)/)
  })

  it('notices an App whose clock is wrong, and says the time by its own', async () => {
    fake.faults.setClockSkew(-HOUR_MS)
    const { status, headers } = await ask(fake, 'GET /app', { auth: toJwt(app) })
    fake.faults.clear()
    assert.equal(status, 401)
    assert.ok(Date.parse(headers.get('date') ?? '') < Date.now() - HOUR_MS / 2)
  })

  it('takes every key of an App until it is taken away', async () => {
    const rotated = await seedApp(fake, { name: 'Rotated' })
    const key = await fake.addPrivateKey(rotated)
    const tryBoth = async () => {
      const old = await ask(fake, 'GET /app', { auth: toJwt(rotated) })
      const fresh = await ask(fake, 'GET /app', { auth: toJwt(rotated, {}, key) })
      return [old.status, fresh.status]
    }
    assert.deepEqual(await tryBoth(), [200, 200])
    fake.removePrivateKey(rotated)
    assert.deepEqual(await tryBoth(), [401, 200])
  })

  it('gives everything when nothing is asked for, and exactly what is', async () => {
    const all = await mintBy({})
    assert.equal(all.status, 201)
    assert.equal(all.body.repository_selection, 'all')
    assert.deepEqual(all.body.permissions, {
      contents: 'read',
      metadata: 'read',
      repository_hooks: 'write',
    })
    const one = await mintBy({ repository_ids: [shop.id], permissions: { contents: 'read' } })
    assert.deepEqual(one.body.permissions, { metadata: 'read', contents: 'read' })
    assert.deepEqual(
      one.body.repositories.map((repository: { id: number }) => repository.id),
      [shop.id],
    )
    assert.equal(one.body.token.length, 520)
    assert.match(one.body.token, /^ghs_\d+_[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  it('refuses more than is granted, with 422', async () => {
    const cases = [
      { permissions: { contents: 'write' } },
      { permissions: { issues: 'read' } },
      { repository_ids: [999_999] },
      { repositories: ['nowhere'] },
      { repositories: ['shop'], repository_ids: [shop.id] },
      { repository_ids: Array.from({ length: 501 }, () => shop.id) },
    ]
    for (const body of cases) assert.equal((await mintBy(body)).status, 422, JSON.stringify(body))
  })

  it('keeps a token to its repositories and permissions', async () => {
    const auth = await mint(fake, app, installation.id, {
      repositories: ['docs'],
      permissions: { contents: 'read' },
    })
    const statusOf = async (line: string) => (await ask(fake, line, { auth })).status
    assert.equal(await statusOf('GET /repos/acme/docs/branches/main'), 200)
    assert.equal(await statusOf('GET /repos/acme/shop'), 404)
    assert.equal(await statusOf('GET /repos/acme/docs/hooks'), 403)
    assert.equal(await statusOf('GET /user'), 403)
    const { body } = await ask(fake, 'GET /installation/repositories', { auth })
    assert.equal(body.total_count, 1)
  })

  it('ends a token after an hour, or when it is revoked', async () => {
    const auth = await mint(fake, app, installation.id)
    const read = async () => (await ask(fake, 'GET /installation/repositories', { auth })).status
    assert.equal(await read(), 200)
    later = HOUR_MS - 5000
    assert.equal(await read(), 200)
    later = HOUR_MS
    assert.equal(await read(), 401)
    later = 0
    assert.equal((await ask(fake, 'DELETE /installation/token', { auth })).status, 204)
    assert.equal(await read(), 401)
  })

  it('I-12 gives no tokens for a suspended installation, and stops those it gave', async () => {
    const auth = await mint(fake, app, installation.id)
    fake.suspend(installation)
    assert.equal((await mintBy({})).status, 403)
    assert.equal((await ask(fake, 'GET /repos/acme/shop', { auth })).status, 403)
    fake.unsuspend(installation)
    assert.equal((await ask(fake, 'GET /repos/acme/shop', { auth })).status, 200)
  })

  it('does not know a fresh token for as many uses as a fault says', async () => {
    fake.faults.request({ kind: 'fresh-token-lag', uses: 2 })
    const auth = await mint(fake, app, installation.id)
    const statuses: number[] = []
    for (let use = 0; use < 3; use += 1) {
      statuses.push((await ask(fake, 'GET /repos/acme/shop', { auth })).status)
    }
    assert.deepEqual(statuses, [401, 401, 200])
  })

  it('gives a wider token than was asked for, and says so, by a fault', async () => {
    const only = 'POST /api/v3/app/installations/'
    fake.faults.request({ kind: 'wider-token' }, { only })
    const wide = await mintBy({ repository_ids: [shop.id], permissions: { contents: 'read' } })
    assert.equal(wide.body.permissions.repository_hooks, 'write')
    assert.equal(wide.body.repository_selection, 'all')
    assert.equal(
      (await mintBy({ repository_ids: [shop.id] })).body.repository_selection,
      'selected',
    )
  })

  it('I-15 keeps new permissions back until they are accepted', async () => {
    fake.requestPermissions(app, { contents: 'read', repository_hooks: 'write', statuses: 'write' })
    assert.equal((await mintBy({ permissions: { statuses: 'write' } })).status, 422)
    assert.equal((await mintBy({ permissions: { contents: 'read' } })).status, 201)
    fake.acceptPermissions(installation)
    assert.equal((await mintBy({ permissions: { statuses: 'write' } })).status, 201)
    const auth = await mint(fake, app, installation.id)
    assert.equal((await ask(fake, 'GET /repos/acme/shop/hooks', { auth })).status, 200)
    fake.requestPermissions(app, { contents: 'read' })
    fake.acceptPermissions(installation)
    assert.equal((await ask(fake, 'GET /repos/acme/shop/hooks', { auth })).status, 403)
  })

  it('forgets the tokens of an installation that is removed', async () => {
    const removed = fake.installApp(app, 'bob', { selection: 'all' })
    const auth = await mint(fake, app, removed.id)
    fake.uninstall(removed)
    assert.equal((await ask(fake, 'GET /installation/repositories', { auth })).status, 401)
    assert.equal((await mintBy({}, removed.id)).status, 404)
  })
})
