import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { never, startScene } from './_scene.ts'

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
    await host.changeHookConfig(app, { url: 'https://nano.example/hook' }, never)
    assert.deepEqual(await host.readHookConfig(app, never), { url: 'https://nano.example/hook' })
    assert.equal(fake.count('/app/hook/config'), 2)
  })
})
