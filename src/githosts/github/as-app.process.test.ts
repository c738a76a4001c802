import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ask, startReceiver } from '../../../test/fake-github/_client.ts'
import { Secret } from '../../lib/secret.ts'
import { createJumpingClock, createHost, never, startScene } from './_scene.ts'

const isCode = (code: string) => (error: { code?: string }) => error.code === code

describe('asking as an App', () => {
  it('reads the App, its installations and its webhook, and changes the webhook', async () => {
    await using scene = await startScene()
    const { host, app, installation, fake } = scene
    const facts = await host.readApp(app, never)
    assert.equal(facts.id, app.appId)
    assert.equal(facts.clientId, app.clientId)
    assert.equal(facts.ownerLogin, 'ada')
    assert.ok(Math.abs(facts.clockSkewSeconds) <= 2)
    const listed = await Array.fromAsync(host.listInstallations(app, never))
    assert.deepEqual(
      listed.map(({ id, account }) => [id, account.login, account.type]),
      [[installation.id, 'acme', 'Organization']],
    )
    assert.deepEqual(await host.readInstallation(app, installation.id, never), listed[0])
    assert.deepEqual(await host.readHookConfig(app, never), { url: null })
    const secret = new Secret('a-new-webhook-secret')
    await host.changeHookConfig(app, { url: 'https://nano.example/hook', secret }, never)
    assert.deepEqual(await host.readHookConfig(app, never), { url: 'https://nano.example/hook' })
    const { hook } = fake.snapshot().state.apps.get(app.appId) ?? {}
    assert.deepEqual(
      [hook?.secret, hook?.contentType, hook?.insecureSsl],
      ['a-new-webhook-secret', 'json', '0'],
    )
  })

  it('signs with RS256 as the client id, in the past and for less than ten minutes', async () => {
    await using scene = await startScene({ clock: createJumpingClock(1_800_000_000_000) })
    await scene.host.readApp(scene.app, never)
    const bearer = String(scene.fake.requests.at(-1)?.headers['authorization'])
    const [head, claims] = bearer
      .replace('Bearer ', '')
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString())
    assert.deepEqual(JSON.parse(head ?? ''), { alg: 'RS256', typ: 'JWT' })
    const { iat, exp, iss } = JSON.parse(claims ?? '') as Record<string, number>
    assert.equal(iss, scene.app.clientId)
    assert.equal(iat, 1_799_999_940)
    assert.ok((exp ?? 0) - (iat ?? 0) <= 540)
  })

  it('tries the next private key after a 401, and says when none is accepted', async () => {
    await using scene = await startScene()
    const { fake, host, app, created } = scene
    const [old] = app.privateKeys
    const fresh = new Secret(await fake.addPrivateKey(created))
    assert.ok(old !== undefined)
    fake.removePrivateKey(created)
    await host.readApp({ ...app, privateKeys: [old, fresh] }, never)
    assert.equal(fake.count('GET /api/v3/app'), 2)
    await assert.rejects(host.readApp(app, never), isCode('github.refused'))
  })

  it('never quotes a private key that cannot be read', async () => {
    await using scene = await startScene()
    const broken = { ...scene.app, privateKeys: [new Secret('-----BEGIN sesame-open')] }
    await assert.rejects(scene.host.readApp(broken, never), (error: Error & { code?: string }) => {
      assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /sesame/)
      return isCode('github.unusable_key')(error)
    })
    const none = { ...scene.app, privateKeys: [] }
    await assert.rejects(scene.host.readApp(none, never), isCode('github.unusable_key'))
  })

  for (const minutes of [-15, -5, 5, 15]) {
    it(`B-19 is accepted with a clock that is ${minutes} minutes off`, async () => {
      await using scene = await startScene()
      const { fake, host, app, place, installation } = scene
      fake.faults.setClockSkew(-minutes * 60_000)
      const { clockSkewSeconds } = await host.readApp(app, never)
      assert.ok(Math.abs(clockSkewSeconds - minutes * 60) <= 2, String(clockSkewSeconds))
      const asked = fake.requests.length
      const order = {
        installationId: installation.id,
        repositoryIds: [place.repoId],
        permissions: { contents: 'read' },
      }
      await host.mintToken(app, order, never)
      // The difference was learned: nothing is tried twice.
      assert.equal(fake.requests.length, asked + 1)
    })
  }

  it('W-41 lists deliveries that got no answer, back to a moment, and sends them again', async () => {
    await using hook = await startReceiver()
    const clock = createJumpingClock()
    await using scene = await startScene({ clock, hookUrl: hook.url })
    const { fake, host, app } = scene
    await fake.push('acme/shop', { files: { a: '1' } })
    await fake.settled()
    clock.move(60_000)
    const since = new Date(clock.now()).toISOString()
    fake.faults.delivery({ kind: 'fail', status: 'timed out' })
    await fake.push('acme/shop', { files: { a: '2' } })
    await fake.settled()
    const [missed, ...older] = await Array.fromAsync(host.listDeliveries(app, since, never))
    assert.deepEqual(older, [])
    assert.ok(missed !== undefined)
    assert.deepEqual([missed.status, missed.statusCode], ['timed out', null])
    await host.redeliver(app, missed.id, never)
    await fake.settled()
    const [again] = await Array.fromAsync(host.listDeliveries(app, since, never))
    assert.deepEqual([again?.guid, again?.redelivery, again?.status], [missed.guid, true, 'OK'])
    const all = await Array.fromAsync(host.listDeliveries(app, '2020-01-01T00:00:00Z', never))
    assert.deepEqual(
      all.map(({ event }) => event),
      ['push', 'push', 'push', 'installation'],
    )
    await assert.rejects(host.redeliver(app, 1, never), isCode('github.not_found'))
  })

  it('I-09 trades the code of a manifest once, and the redactor knows what it gave', async () => {
    await using scene = await startScene()
    const { fake, host, app, redactor } = scene
    fake.actAs({ login: 'ada' })
    const manifest = {
      name: 'Nanothing',
      url: 'http://127.0.0.1:1',
      redirect_url: 'http://127.0.0.1:1/made',
      hook_attributes: { url: 'http://127.0.0.1:1/hook' },
      default_permissions: { contents: 'read' },
      default_events: ['push'],
      public: false,
    }
    const body = new URLSearchParams({ manifest: JSON.stringify(manifest) })
    const { headers } = await ask(fake, 'POST web:/settings/apps/new?state=x', { body })
    const code = new URL(headers.get('location') ?? '').searchParams.get('code') ?? ''
    const made = await host.convertManifest(app, code, never)
    assert.deepEqual([made.slug, made.ownerLogin], ['nanothing', 'ada'])
    for (const secret of [made.clientSecret, made.webhookSecret, made.privateKey]) {
      assert.ok(secret !== null)
      assert.ok(!redactor.redact(secret.reveal()).includes(secret.reveal()))
    }
    const own = {
      ...app,
      appId: made.id,
      clientId: made.clientId,
      privateKeys: [made.privateKey],
    }
    assert.equal((await host.readApp(own, never)).id, made.id)
    await assert.rejects(host.convertManifest(app, code, never), isCode('github.not_found'))
    // What came in a URL stays one part of a path.
    const strange = host.convertManifest(app, '../../app?x=', never)
    await assert.rejects(strange, isCode('github.not_found'))
  })

  it('I-10 speaks with allowed hosts alone, at the API that belongs to them', async () => {
    await using scene = await startScene()
    const { app, fake } = scene
    const sites = [
      { webUrl: 'https://evil.example' },
      { apiUrl: 'https://evil.example/api/v3' },
      { apiUrl: `${fake.webUrl}@evil.example/api/v3` },
      { apiUrl: `${fake.apiUrl}?x=` },
      { webUrl: 'https://github.com@evil.example' },
    ]
    for (const site of sites) {
      const asking = scene.host.readApp({ ...app, ...site }, never)
      await assert.rejects(asking, (error: { code?: string }) => {
        return String(error.code).startsWith('source.')
      })
    }
    assert.equal(fake.requests.length, 0)
    await using other = createHost({ gitHosts: ['github.example.com@private'] })
    const plain = {
      ...app,
      webUrl: 'http://github.example.com',
      apiUrl: 'http://github.example.com/api/v3',
    }
    await assert.rejects(other.readApp(plain, never), /must be https/)
  })
})
