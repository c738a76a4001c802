import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { ask, mint, seedApp, seedWorld, startReceiver } from './_client.ts'
import type { Json, Receiver } from './_client.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'

describe('hooks of repositories', () => {
  let fake: FakeGithub
  let hook: Receiver
  let auth: string
  const at = (line: string, body?: object) => {
    const [method, path = ''] = line.split(' ')
    return ask(fake, `${method} /repos/acme/shop/hooks${path}`, { auth, body })
  }
  const draft = (url: string, events = ['push']) => {
    return { config: { url, content_type: 'json', secret: 's' }, events }
  }

  before(async () => {
    fake = await startFakeGithub()
    hook = await startReceiver()
    await seedWorld(fake)
    const app = await seedApp(fake, { events: [] })
    auth = await mint(fake, app, fake.installApp(app, 'acme').id)
  })
  after(async () => {
    await fake[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
  })

  it('are made, pinged, changed and removed', async () => {
    const created = await at('POST ', draft(hook.url))
    assert.equal(created.status, 201)
    assert.deepEqual(created.body.config.secret, '********')
    await fake.settled()
    assert.equal(hook.received[0]?.headers['x-github-event'], 'ping')
    const { id } = created.body
    assert.equal((await at(`GET /${id}`)).body.last_response.code, 202)
    assert.equal((await at(`POST /${id}/pings`)).status, 204)
    const off = await at(`PATCH /${id}`, { active: false })
    assert.equal(off.body.active, false)
    await fake.settled()
    const count = hook.received.length
    await fake.push('acme/shop', { files: { a: 'b' } })
    await fake.settled()
    assert.equal(hook.received.length, count)
    assert.equal((await at(`DELETE /${id}`)).status, 204)
    assert.equal((await at(`GET /${id}`)).status, 404)
  })

  it('lose their secret with a new configuration that has none, unlike with a change of it', async () => {
    const { body } = await at('POST ', draft(`${hook.url}/secret`))
    const changed = await at(`PATCH /${body.id}/config`, { content_type: 'form' })
    assert.equal(changed.body.secret, '********')
    const replaced = await at(`PATCH /${body.id}`, { config: { url: `${hook.url}/secret` } })
    assert.equal(replaced.body.config.secret, undefined)
    await at(`DELETE /${body.id}`)
  })

  it('cannot share a URL and an event, nor be more than twenty for one event', async () => {
    const ids: number[] = [(await at('POST ', draft(`${hook.url}/0`))).body.id]
    const twin = await at('POST ', draft(`${hook.url}/0`))
    assert.equal(twin.status, 422)
    assert.equal(twin.body.errors[0].message, 'Hook already exists on this repository')
    const beside = await at('POST ', draft(`${hook.url}/0`, ['repository']))
    assert.equal(beside.status, 201)
    for (let number = 1; number < 20; number += 1) {
      ids.push((await at('POST ', draft(`${hook.url}/${number}`))).body.id)
    }
    const full = await at('POST ', draft(`${hook.url}/20`))
    assert.equal(full.status, 422)
    assert.match(full.body.errors[0].message, /cannot have more than 20 hooks/)
    for (const id of [...ids, beside.body.id]) await at(`DELETE /${id}`)
  })

  it('have their own deliveries, which can be sent again', async () => {
    const { body } = await at('POST ', draft(hook.url))
    await fake.settled()
    const [ping]: Json[] = (await at(`GET /${body.id}/deliveries`)).body
    assert.equal(ping.event, 'ping')
    const told = await at(`GET /${body.id}/deliveries/${ping.id}`)
    assert.equal(told.body.request.payload.hook_id, body.id)
    assert.equal((await at(`POST /${body.id}/deliveries/${ping.id}/attempts`)).status, 202)
    await fake.settled()
    const all: Json[] = (await at(`GET /${body.id}/deliveries`)).body
    assert.deepEqual(
      all.map(({ redelivery }) => redelivery),
      [true, false],
    )
    await at(`DELETE /${body.id}`)
  })

  it('are for administrators, and Apps with the permission', async () => {
    const statusFor = async (token: string) => {
      return (await ask(fake, 'GET /repos/acme/shop/hooks', { auth: token })).status
    }
    const { token: admin } = fake.createPersonalToken('ada')
    const { token: member } = fake.createPersonalToken('bob')
    assert.deepEqual(
      [await statusFor(`token ${admin}`), await statusFor(`token ${member}`)],
      [200, 404],
    )
    const poor = await seedApp(fake, {
      name: 'Poor',
      permissions: { contents: 'read' },
      events: [],
    })
    const installation = fake.installApp(poor, 'acme')
    assert.equal(await statusFor(await mint(fake, poor, installation.id)), 403)
    const { token } = fake.authorize(poor, 'ada')
    assert.equal(await statusFor(`token ${token}`), 403)
  })
})
