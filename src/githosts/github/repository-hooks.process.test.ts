import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ask } from '../../../test/fake-github/_client.ts'
import { Secret } from '../../lib/secret.ts'
import { never, startScene } from './_scene.ts'

const isCode = (code: string) => (error: { code?: string }) => error.code === code
const URL = 'http://127.0.0.1:1/hooks/abc'
const hook = (changes: Partial<{ url: string; secret: Secret; knownId: number | null }> = {}) => ({
  url: URL,
  secret: new Secret('first-secret'),
  knownId: null,
  ...changes,
})

type Scene = Awaited<ReturnType<typeof startScene>>

function hooksOf({ fake }: Scene) {
  return [...fake.snapshot().state.hooks.values()]
}

/** As somebody else makes one. */
async function addHook({ fake }: Scene, url: string, events = ['push']) {
  const auth = `Bearer ${fake.createPersonalToken('ada').token}`
  const body = { config: { url }, events }
  const reply = await ask(fake, 'POST /repos/acme/shop/hooks', { auth, body })
  assert.equal(reply.status, 201, reply.text)
}

describe('ensureRepositoryHook()', () => {
  it('creates one for pushes, as JSON, with our secret, and not a second one', async () => {
    await using scene = await startScene()
    const { host, app, place } = scene
    const { id } = await host.ensureRepositoryHook(app, place, hook(), never)
    assert.deepEqual(await host.ensureRepositoryHook(app, place, hook(), never), { id })
    const known = hook({ knownId: id })
    assert.deepEqual(await host.ensureRepositoryHook(app, place, known, never), { id })
    const [made, ...more] = hooksOf(scene)
    assert.deepEqual(more, [])
    assert.deepEqual([made?.active, made?.events], [true, ['push']])
    const { config } = made ?? {}
    assert.deepEqual(config, {
      url: URL,
      contentType: 'json',
      secret: 'first-secret',
      insecureSsl: '0',
    })
  })

  it('corrects address and secret of the one it knows', async () => {
    await using scene = await startScene()
    const { host, app, place } = scene
    const { id } = await host.ensureRepositoryHook(app, place, hook(), never)
    const moved = { url: 'http://127.0.0.1:1/hooks/new', secret: new Secret('second-secret') }
    await host.ensureRepositoryHook(app, place, hook({ ...moved, knownId: id }), never)
    const [made] = hooksOf(scene)
    assert.deepEqual([made?.config.url, made?.config.secret], [moved.url, 'second-secret'])
  })

  it('finds the one with its address on a later page, though it listens to other events', async () => {
    await using scene = await startScene()
    const { host, app, place } = scene
    for (let index = 0; index < 105; index += 1) {
      await addHook(
        scene,
        `http://127.0.0.1:1/${index}`,
        [index % 2 === 0 ? 'fork' : 'watch'].map((event) => `${event}${Math.floor(index / 20)}`),
      )
    }
    await addHook(scene, URL, ['issues'])
    const { id } = await host.ensureRepositoryHook(app, place, hook(), never)
    const found = hooksOf(scene).filter(({ config }) => config.url === URL)
    assert.deepEqual(
      found.map((one) => [one.id, one.events, one.config.secret]),
      [[id, ['push'], 'first-secret']],
    )
  })

  it('takes the one that somebody else made in the same moment', async () => {
    await using scene = await startScene()
    const { host, app, place } = scene
    const ensure = () => host.ensureRepositoryHook(app, place, hook(), never)
    const ids = await Promise.all([ensure(), ensure(), ensure()])
    assert.equal(new Set(ids.map(({ id }) => id)).size, 1)
    assert.equal(hooksOf(scene).length, 1)
  })

  it('creates another one when the one it knew was removed', async () => {
    await using scene = await startScene()
    const { host, app, place } = scene
    const { id } = await host.ensureRepositoryHook(app, place, hook(), never)
    await host.removeRepositoryHook(app, place, id, never)
    await host.removeRepositoryHook(app, place, id, never)
    assert.deepEqual(hooksOf(scene), [])
    const again = await host.ensureRepositoryHook(app, place, hook({ knownId: id }), never)
    assert.notEqual(again.id, id)
  })

  it('says when the repository has as many as GitHub allows', async () => {
    await using scene = await startScene()
    const { host, app, place } = scene
    for (let index = 0; index < 20; index += 1) await addHook(scene, `http://127.0.0.1:1/${index}`)
    await assert.rejects(
      host.ensureRepositoryHook(app, place, hook(), never),
      isCode('github.too_many_hooks'),
    )
  })

  it('names the permission that was not granted', async () => {
    await using scene = await startScene()
    const { fake, host, place, created, app } = scene
    fake.uninstall(scene.installation)
    fake.requestPermissions(created, { contents: 'read' })
    const { id } = fake.installApp(created, 'acme')
    const there = { ...place, installationId: id }
    await assert.rejects(
      host.ensureRepositoryHook(app, there, hook(), never),
      isCode('github.permission_missing'),
    )
  })
})
