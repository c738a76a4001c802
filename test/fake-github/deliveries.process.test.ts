import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'

import { ask, seedApp, seedWorld, signBody, startReceiver, toJwt } from './_client.ts'
import type { Json, Received, Receiver } from './_client.ts'
import type { CreatedApp } from './controls/app-controls.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub, Snapshot } from './start-fake-github.ts'

const DAY_MS = 86_400_000

describe('deliveries', () => {
  let fake: FakeGithub
  let app: CreatedApp
  let hook: Receiver
  let start: Snapshot
  let later = 0

  before(async () => {
    const clock = { now: () => Date.now() + later }
    fake = await startFakeGithub({ clock, limits: { deliveryDeadlineMs: 150 } })
    hook = await startReceiver()
    await seedWorld(fake)
    app = await seedApp(fake, { hook: { url: hook.url, secret: 'first' } })
    fake.installApp(app, 'acme')
    await fake.settled()
    start = fake.snapshot()
  })
  beforeEach(async () => {
    await fake.reset(start)
    hook.received.splice(0)
    hook.status = 202
    later = 0
  })
  afterEach(() => fake.settled())
  after(async () => {
    await fake[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
  })

  const push = async (...titles: string[]) => {
    for (const title of titles) await fake.push('acme/shop', { files: { title }, message: title })
    await fake.settled()
  }
  const first = (): Received => {
    const [received] = hook.received
    assert.ok(received)
    return received
  }
  const titles = (): string[] => hook.received.map(({ payload }) => payload.head_commit.message)
  const list = async (query = ''): Promise<Json> => {
    return (await ask(fake, `GET /app/hook/deliveries${query}`, { auth: toJwt(app) })).body
  }
  const redeliver = (id: number) => {
    return ask(fake, `POST /app/hook/deliveries/${id}/attempts`, { auth: toJwt(app) })
  }

  it('carry the documented headers, and a signature over the very bytes', async () => {
    await push('one')
    const { headers, body } = first()
    assert.equal(headers['x-hub-signature-256'], signBody('first', body))
    assert.match(headers['x-hub-signature']?.toString() ?? '', /^sha1=[0-9a-f]{40}$/)
    assert.equal(headers['x-github-event'], 'push')
    assert.match(headers['x-github-delivery']?.toString() ?? '', /^[0-9a-f-]{36}$/)
    assert.equal(headers['x-github-hook-installation-target-type'], 'integration')
    assert.equal(headers['x-github-hook-installation-target-id'], String(app.id))
    assert.match(headers['user-agent'] ?? '', /^GitHub-Hookshot\//)
    assert.equal(headers['content-type'], 'application/json')
  })

  it('are listed newest first, page by page, and told in full one by one', async () => {
    await push('one', 'two', 'three')
    const auth = toJwt(app)
    const first = await ask(fake, 'GET /app/hook/deliveries?per_page=2', { auth })
    assert.equal(first.body.length, 2)
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get('link') ?? '')?.[1] ?? ''
    const second = await ask(fake, `GET ${next.slice(fake.apiUrl.length)}`, { auth })
    const ids = [...first.body, ...second.body].map((item: Json) => item.id)
    assert.deepEqual(
      ids,
      ids.toSorted((a: number, b: number) => b - a),
    )
    const { body } = await ask(fake, `GET /app/hook/deliveries/${ids[0]}`, { auth })
    assert.equal(body.request.payload.head_commit.message, 'three')
    assert.equal(body.response.payload, 'thanks')
    assert.deepEqual([body.status, body.status_code], ['OK', 202])
  })

  it('are tried once, and again only when asked, under the same GUID', async () => {
    hook.status = 500
    await push('one')
    const [failed] = await list()
    assert.deepEqual([failed.status, failed.status_code], ['Invalid HTTP Response: 500', 500])
    hook.status = 202
    assert.equal((await redeliver(failed.id)).status, 202)
    await fake.settled()
    const [again, ...rest] = await list()
    assert.equal(rest.length, 2)
    assert.equal(again.guid, failed.guid)
    assert.notEqual(again.id, failed.id)
    assert.deepEqual([again.redelivery, failed.redelivery], [true, false])
    assert.deepEqual(hook.received[0]?.body, hook.received[1]?.body)
  })

  it('W-35 are signed with the secret of the moment when they are sent again', async () => {
    await push('one')
    const config = { auth: toJwt(app), body: { secret: 'second' } }
    const { body } = await ask(fake, 'PATCH /app/hook/config', config)
    assert.equal(body.secret, '********')
    const [{ id }] = await list()
    await redeliver(id)
    await fake.settled()
    const [before, again] = hook.received.map(({ headers }) => headers['x-hub-signature-256'])
    const bytes = hook.received[1]?.body ?? Buffer.alloc(0)
    assert.deepEqual([before, again], [signBody('first', bytes), signBody('second', bytes)])
  })

  it('W-41 fail by timeout or refused connection without a status code, unseen by status=failure', async () => {
    hook.status = null
    await push('silent')
    hook.status = 404
    await push('wrong')
    await ask(fake, 'PATCH /app/hook/config', {
      auth: toJwt(app),
      body: { url: 'http://127.0.0.1:1/' },
    })
    await push('refused')
    const all: Json[] = await list()
    assert.deepEqual(
      all.slice(0, 3).map((item) => [item.status, item.status_code]),
      [
        ['failed to connect to host', 0],
        ['Invalid HTTP Response: 404', 404],
        ['timed out', 0],
      ],
    )
    const failures: Json[] = await list('?status=failure')
    assert.deepEqual(
      failures.map((item) => item.status_code),
      [404],
    )
  })

  it('can be sent again for three days', async () => {
    await push('one')
    const [{ id }] = await list()
    later = 3 * DAY_MS + 1000
    const now = Math.floor((Date.now() + later) / 1000)
    const auth = toJwt(app, { iat: now - 60, exp: now + 60 })
    assert.deepEqual((await ask(fake, 'GET /app/hook/deliveries', { auth })).body, [])
    const again = await ask(fake, `POST /app/hook/deliveries/${id}/attempts`, { auth })
    assert.equal(again.status, 404)
  })

  it('are not followed to another address', async () => {
    await using elsewhere = await startReceiver()
    hook.status = 302
    await push('one')
    assert.equal((await list())[0].status_code, 302)
    assert.equal(elsewhere.received.length, 0)
  })

  it('are form-encoded when the hook says so, signed over the encoded bytes', async () => {
    const config = { auth: toJwt(app), body: { content_type: 'form' } }
    await ask(fake, 'PATCH /app/hook/config', config)
    await push('a & b')
    const { headers, body } = first()
    assert.equal(headers['content-type'], 'application/x-www-form-urlencoded')
    assert.equal(headers['x-hub-signature-256'], signBody('first', body))
    assert.deepEqual(titles(), ['a & b'])
  })

  it('W-42 have one GUID for the App and the hook of the repository', async () => {
    const { token } = fake.createPersonalToken('ada')
    const config = { url: hook.url, content_type: 'json', secret: 'own' }
    const created = { auth: `token ${token}`, body: { config, events: ['push'] } }
    const { body } = await ask(fake, 'POST /repos/acme/shop/hooks', created)
    await fake.settled()
    hook.received.splice(0)
    await push('one')
    assert.equal(hook.received.length, 2)
    assert.equal(new Set(hook.received.map(({ headers }) => headers['x-github-delivery'])).size, 1)
    const own = hook.received.find(({ headers }) => headers['x-github-hook-id'] === String(body.id))
    assert.equal(own?.headers['x-hub-signature-256'], signBody('own', own?.body ?? Buffer.alloc(0)))
    assert.equal(own?.headers['x-github-hook-installation-target-type'], 'repository')
    assert.equal(own?.payload.installation, undefined)
  })

  it('come to nobody while an installation is suspended', async () => {
    const installation = { id: fake.deliveries[0]?.installationId ?? 0 }
    fake.suspend(installation)
    await push('unheard')
    fake.unsuspend(installation)
    await fake.settled()
    const heard = hook.received.map(({ payload }) => payload.action ?? 'push')
    assert.deepEqual(heard, ['suspend', 'unsuspend'])
  })

  it('are dropped without a trace by a fault', async () => {
    fake.faults.delivery({ kind: 'drop' })
    await push('lost', 'kept')
    assert.deepEqual(titles(), ['kept'])
    assert.equal((await list()).length, 2)
  })

  it('fail unsent by a fault', async () => {
    fake.faults.delivery({ kind: 'fail' })
    await push('lost')
    const [{ status, status_code: code }] = await list()
    assert.deepEqual([status, code, titles()], ['timed out', 0, []])
  })

  it('come twice by a fault', async () => {
    fake.faults.delivery({ kind: 'duplicate' })
    await push('twice')
    assert.deepEqual(titles(), ['twice', 'twice'])
    const [one, two] = await list()
    assert.equal(one.guid, two.guid)
  })

  it('overtake each other by a fault', async () => {
    fake.faults.delivery({ kind: 'reorder', holdMs: 5000 })
    await push('one', 'two')
    assert.deepEqual(titles(), ['two', 'one'])
  })

  it('come late by a fault, and say so', async () => {
    fake.faults.delivery({ kind: 'delay', ms: 30 })
    await push('late')
    const [{ throttled_at: throttledAt, delivered_at: deliveredAt }] = await list()
    assert.ok(Date.parse(deliveredAt) - Date.parse(throttledAt) >= 25)
  })

  it('meet faults at the rate that is asked for, the same in every run', async () => {
    const dropped = async () => {
      await using other = await startFakeGithub({ seed: 7 })
      other.addUser({ login: 'ada' })
      await other.addRepository({ owner: 'ada', name: 'a', files: { a: '1' } })
      const own = await seedApp(other, { hook: { url: hook.url, secret: 's' } })
      other.faults.delivery({ kind: 'drop' }, { rate: 0.5, times: Infinity })
      const installation = other.installApp(own, 'ada')
      for (let count = 0; count < 10; count += 1) {
        other.suspend(installation)
        other.unsuspend(installation)
      }
      await other.settled()
      return other.deliveries.length
    }
    const first = await dropped()
    assert.ok(first > 3 && first < 18, String(first))
    assert.equal(await dropped(), first)
  })
})
