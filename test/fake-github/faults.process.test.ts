import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'

import { ask, seedWorld } from './_client.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'

const HOUR_MS = 3_600_000

describe('faults and limits of requests', () => {
  let fake: FakeGithub
  let auth: string
  let later = 0
  const user = () => ask(fake, 'GET /user', { auth })

  before(async () => {
    const clock = { now: () => Date.now() + later }
    fake = await startFakeGithub({ clock, limits: { requestsPerHour: 50 } })
    await seedWorld(fake)
    auth = `token ${fake.createPersonalToken('ada').token}`
  })
  afterEach(() => {
    fake.faults.clear()
    later += 2 * HOUR_MS
  })
  after(() => fake[Symbol.asyncDispose]())

  it('answers a status instead, so many times and only where asked', async () => {
    fake.faults.request({ kind: 'status', status: 502 }, { times: 2, only: 'GET /api/v3/user' })
    assert.equal((await ask(fake, 'GET /meta')).status, 200)
    assert.deepEqual(
      [(await user()).status, (await user()).status, (await user()).status],
      [502, 502, 200],
    )
  })

  it('counts requests for an hour, and refuses those above', async () => {
    for (let used = 0; used < 50; used += 1) assert.equal((await user()).status, 200)
    const { status, body, headers } = await user()
    assert.equal(status, 403)
    assert.match(body.message, /^API rate limit exceeded/)
    assert.equal(headers.get('x-ratelimit-remaining'), '0')
    later += HOUR_MS + 1000
    assert.equal((await user()).headers.get('x-ratelimit-remaining'), '49')
  })

  it('runs out of requests until the reset by a fault', async () => {
    fake.faults.request({ kind: 'primary-rate-limit', resetInSeconds: 30 })
    const limited = await user()
    assert.deepEqual([limited.status, (await user()).status], [403, 403])
    const reset = Number(limited.headers.get('x-ratelimit-reset'))
    assert.ok(Math.abs(reset - (Date.now() + later) / 1000 - 30) < 5)
    later += 31_000
    assert.equal((await user()).status, 200)
  })

  it('meets a secondary limit by a fault, with the seconds to wait', async () => {
    fake.faults.request({ kind: 'secondary-rate-limit', retryAfterSeconds: 7, status: 429 })
    const { status, headers } = await user()
    assert.deepEqual([status, headers.get('retry-after')], [429, '7'])
    assert.notEqual(headers.get('x-ratelimit-remaining'), '0')
  })

  it('redirects, resets, cuts and slows down', async () => {
    fake.faults.request({ kind: 'redirect', location: 'http://169.254.169.254/' })
    assert.equal((await user()).headers.get('location'), 'http://169.254.169.254/')
    fake.faults.request({ kind: 'reset' })
    await assert.rejects(user())
    fake.faults.request({ kind: 'truncate', bytes: 10 })
    await assert.rejects(user())
    fake.faults.request({ kind: 'slow-body', bytesPerTick: 400 })
    const started = performance.now()
    assert.equal((await user()).body.login, 'ada')
    assert.ok(performance.now() - started >= 90)
  })

  it('never answers by a fault, until the client goes', async () => {
    fake.faults.request({ kind: 'hang' })
    const signal = AbortSignal.timeout(50)
    await assert.rejects(fetch(`${fake.apiUrl}/user`, { headers: { authorization: auth }, signal }))
  })

  it('refuses what GitHub refuses: no user agent, no JSON, an unknown token', async () => {
    const bare = await ask(fake, 'GET /user', { auth, headers: { 'user-agent': '' } })
    assert.equal(bare.status, 403)
    const headers = { 'content-type': 'application/json', authorization: auth }
    const body = '{'
    const broken = await fetch(`${fake.apiUrl}/user`, { method: 'POST', headers, body })
    assert.equal(broken.status, 400)
    await broken.text()
    const unknown = await ask(fake, 'GET /user', { auth: 'token ghp_nobody' })
    assert.deepEqual(
      [unknown.status, unknown.body],
      [401, { message: 'Bad credentials', status: '401' }],
    )
  })

  it('keeps a log of what was asked', async () => {
    const before = fake.count('GET /api/v3/user')
    await user()
    assert.equal(fake.count('GET /api/v3/user'), before + 1)
    const last = fake.requests.at(-1)
    assert.deepEqual([last?.path, last?.headers['authorization']], ['/api/v3/user', auth])
  })

  it('goes back to a snapshot, also in its Git repositories', async () => {
    await using other = await startFakeGithub()
    await seedWorld(other)
    const head = await other.head('acme/shop')
    const snapshot = other.snapshot()
    await other.push('acme/shop', { files: { a: 'b' } })
    await other.push('acme/shop', { files: { a: 'c' }, branch: 'new' })
    other.rename('acme/shop', 'renamed')
    other.addUser({ login: 'zoe' })
    await other.reset(snapshot)
    assert.equal(await other.head('acme/shop'), head)
    const { token } = other.createPersonalToken('ada')
    const line = 'GET /repos/acme/shop/branches'
    const { body } = await ask(other, line, { auth: `token ${token}` })
    assert.equal(body.length, 1)
    other.addUser({ login: 'zoe' })
    await other.reset()
    await assert.rejects(other.head('acme/shop'), /Cannot find/)
  })
})
