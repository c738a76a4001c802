import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'

import { ask, seedApp, seedWorld, startReceiver } from './_client.ts'
import type { Json, Receiver } from './_client.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub, Snapshot } from './start-fake-github.ts'

const HOUR_MS = 3_600_000
const OURS = 'http://127.0.0.1:1'

describe('pages', () => {
  let fake: FakeGithub
  let hook: Receiver
  let start: Snapshot
  let later = 0

  before(async () => {
    fake = await startFakeGithub({ clock: { now: () => Date.now() + later } })
    hook = await startReceiver()
    await seedWorld(fake)
    await fake.addRepository({ owner: 'bob', name: 'notes', private: true, files: { a: 'b' } })
    start = fake.snapshot()
  })
  beforeEach(async () => {
    await fake.reset(start)
    hook.received.splice(0)
    later = 0
  })
  after(async () => {
    await fake[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
  })

  const toManifest = (changes: object = {}) => ({
    name: 'NanoThing',
    url: OURS,
    redirect_url: `${OURS}/made`,
    hook_attributes: { url: hook.url, active: true },
    callback_urls: [`${OURS}/callback`],
    setup_url: `${OURS}/setup`,
    default_permissions: { contents: 'read' },
    default_events: ['push'],
    ...changes,
  })
  const register = (manifest: object, path = '/settings/apps/new?state=xyz', more = {}) => {
    const body = new URLSearchParams({ manifest: JSON.stringify(manifest), ...more })
    return ask(fake, `POST web:${path}`, { body })
  }
  const target = (headers: Headers) => new URL(headers.get('location') ?? '')
  const convert = (code: string) => ask(fake, `POST /app-manifests/${code}/conversions`)

  describe('of the manifest flow', () => {
    it('I-09 lead back with a code that gives the App once, within an hour', async () => {
      fake.actAs({ login: 'ada' })
      const { status, headers } = await register(toManifest())
      const { origin, pathname, searchParams } = target(headers)
      assert.deepEqual([status, `${origin}${pathname}`], [302, `${OURS}/made`])
      assert.equal(searchParams.get('state'), 'xyz')
      const code = searchParams.get('code') ?? ''
      const made = await convert(code)
      assert.equal(made.status, 201)
      assert.match(made.body.pem, /^-----BEGIN RSA PRIVATE KEY-----/)
      assert.match(made.body.webhook_secret, /^[0-9a-f]{40}$/)
      assert.deepEqual([made.body.slug, made.body.owner.login], ['nanothing', 'ada'])
      assert.deepEqual(made.body.permissions, { contents: 'read', metadata: 'read' })
      assert.equal((await convert(code)).status, 404)
      const late = await register(toManifest({ name: 'Late' }))
      later = HOUR_MS
      assert.equal((await convert(target(late.headers).searchParams.get('code') ?? '')).status, 404)
    })

    it('ping the webhook before anybody can know its secret', async () => {
      fake.actAs({ login: 'ada' })
      await register(toManifest())
      await fake.settled()
      assert.equal(hook.received[0]?.payload.hook.type, 'App')
    })

    it('give no secret to an App without a webhook', async () => {
      fake.actAs({ login: 'ada' })
      const { headers } = await register(toManifest({ hook_attributes: undefined }))
      const made = await convert(target(headers).searchParams.get('code') ?? '')
      assert.equal(made.body.webhook_secret, null)
    })

    it('make an App of an organization for its owners only', async () => {
      const path = '/organizations/acme/settings/apps/new?state=q'
      fake.actAs({ login: 'bob' })
      assert.equal((await register(toManifest(), path)).status, 404)
      fake.actAs({ login: 'ada' })
      const { headers } = await register(toManifest(), path)
      const made = await convert(target(headers).searchParams.get('code') ?? '')
      assert.equal(made.body.owner.login, 'acme')
    })

    it('show what is wrong with a manifest', async () => {
      fake.actAs({ login: 'ada' })
      const wrong = [
        { name: undefined },
        { url: 'no' },
        { redirect_url: undefined },
        { default_events: ['issues'] },
        { hook_attributes: {} },
        { callback_urls: Array.from({ length: 11 }, () => OURS) },
      ]
      for (const changes of wrong) {
        assert.equal((await register(toManifest(changes))).status, 422, JSON.stringify(changes))
      }
      await register(toManifest())
      assert.equal((await register(toManifest())).status, 422)
    })

    it('ask who somebody is and how the App is called', async () => {
      const shown = await register(toManifest())
      assert.match(shown.text, /name="state" value="xyz"/)
      const fields = { login: 'bob', name: 'Chosen', state: 'xyz' }
      const { headers } = await register(toManifest(), '/settings/apps/new', fields)
      const made = await convert(target(headers).searchParams.get('code') ?? '')
      assert.deepEqual(
        [made.body.slug, target(headers).searchParams.get('state')],
        ['chosen', 'xyz'],
      )
    })
  })

  describe('of installations', () => {
    const install = (path: string, fields: Record<string, string>) => {
      return ask(fake, `POST web:${path}`, { body: new URLSearchParams(fields) })
    }

    it('lead to the setup page with the installation, its state and what was done', async () => {
      const app = await seedApp(fake, { setupUrl: `${OURS}/setup`, setupOnUpdate: true })
      const choice = { account: 'acme', selection: 'selected' as const, repositories: ['shop'] }
      fake.actAs({ login: 'ada', install: choice })
      const line = `GET web:/apps/${app.slug}/installations/new?state=s1`
      const { searchParams } = target((await ask(fake, line)).headers)
      assert.equal(searchParams.get('setup_action'), 'install')
      assert.equal(searchParams.get('state'), 's1')
      const again = target((await ask(fake, line)).headers).searchParams
      assert.equal(again.get('setup_action'), 'update')
      assert.equal(again.get('installation_id'), searchParams.get('installation_id'))
    })

    it('ask the owners when a member installs, and refuse strangers', async () => {
      const app = await seedApp(fake, { setupUrl: `${OURS}/setup` })
      const path = `/apps/${app.slug}/installations/new`
      const fields = { account: 'acme', selection: 'all', state: 's' }
      const member = await install(path, { ...fields, login: 'bob' })
      const { searchParams } = target(member.headers)
      assert.deepEqual(
        [searchParams.get('setup_action'), searchParams.get('installation_id')],
        ['request', null],
      )
      assert.equal((await install(path, { ...fields, login: 'eve' })).status, 404)
    })

    it('give a code instead when the App asks for it', async () => {
      const app = await seedApp(fake, { requestOauthOnInstall: true, setupUrl: `${OURS}/setup` })
      fake.actAs({ login: 'ada', install: { account: 'ada', selection: 'all' } })
      const { headers } = await ask(fake, `GET web:/apps/${app.slug}/installations/new`)
      assert.equal(target(headers).pathname, '/callback')
      assert.ok(target(headers).searchParams.get('code'))
    })

    it('install a private App only where it belongs', async () => {
      const app = await seedApp(fake, { public: false })
      const path = `/apps/${app.slug}/installations/new`
      const fields = { account: 'bob', selection: 'all', login: 'bob' }
      assert.equal((await install(path, fields)).status, 404)
    })

    it('change, accept, suspend and uninstall', async () => {
      const app = await seedApp(fake, { hook: { url: hook.url, secret: 's' } })
      const { id } = fake.installApp(app, 'acme')
      fake.requestPermissions(app, { contents: 'read', statuses: 'write' }, ['push'])
      const path = `/settings/installations/${id}`
      assert.match((await ask(fake, `GET web:${path}`)).text, /Accept new permissions/)
      for (const action of ['accept', 'suspend', 'unsuspend', 'uninstall']) {
        assert.equal((await install(path, { action, login: 'ada' })).status, 200)
      }
      await fake.settled()
      const actions = hook.received.map(({ payload }) => payload.action)
      const expected = ['created', 'new_permissions_accepted', 'suspend', 'unsuspend', 'deleted']
      assert.deepEqual(actions, expected)
    })
  })

  describe('tell a person by their token', () => {
    const asPerson = async (path: string, token: string): Promise<Json> => {
      return await ask(fake, `GET ${path}`, { auth: `Bearer ${token}` })
    }

    it('I-02 which installations and repositories they have a say in', async () => {
      const app = await seedApp(fake)
      const { id } = fake.installApp(app, 'acme')
      const foreign = fake.installApp(app, 'bob')
      const repositories = `/user/installations/${id}/repositories`
      const { token: eve } = fake.authorize(app, 'eve')
      assert.equal((await asPerson('/user/installations', eve)).body.total_count, 0)
      assert.equal((await asPerson(repositories, eve)).status, 404)
      fake.addCollaborator('acme/shop', 'eve', 'pull')
      const seen = (await asPerson('/user/installations', eve)).body.installations
      assert.deepEqual(
        seen.map((item: Json) => item.id),
        [id],
      )
      const [shop] = (await asPerson(repositories, eve)).body.repositories
      assert.deepEqual([shop.permissions.pull, shop.permissions.push], [true, false])
      assert.equal(
        (await asPerson(`/user/installations/${foreign.id}/repositories`, eve)).status,
        404,
      )
    })

    it('which role they have in an organization, if the App may know', async () => {
      const app = await seedApp(fake, { permissions: { members: 'read' }, events: [] })
      const { token } = fake.authorize(app, 'ada')
      const path = '/user/memberships/orgs/acme'
      assert.equal((await asPerson(path, token)).status, 403)
      fake.installApp(app, 'acme')
      assert.equal((await asPerson(path, token)).body.role, 'admin')
      const { token: eve } = fake.authorize(app, 'eve')
      assert.equal((await asPerson(path, eve)).status, 404)
    })
  })
})
