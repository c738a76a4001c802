import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { openCredentials } from '../integrations/app-credentials.ts'
import { openHookSecret, readAppHook, replaceHookSecret } from '../integrations/app-hooks.ts'
import { ensureEnvironmentApp } from '../integrations/environment-app.ts'
import { checkEnvironmentApp } from '../integrations/examine-apps.ts'
import { loadGithubApp } from '../integrations/github-apps.ts'
import { isOperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import { API, expectJson, githubScene, land, type GithubScene } from './_github-scene.ts'
import { PUBLIC_URL, type TestBrowser } from './_test-app.ts'

interface App {
  id: string
  name: string
  status: string
  status_reason: string | null
  from_environment: boolean
  owner_login: string
  drift: { missing_permissions: object; missing_events: string[]; fix_url: string } | null
  webhook_url: { ours: string; told: string | null } | null
}

interface Manifest {
  url: string
  manifest: { name: string; hook_attributes: { url: string }; default_permissions: object }
}

const CREATED = '/integrations/github?github=app_created'

async function begin(scene: GithubScene, admin: TestBrowser, body: object = {}): Promise<Manifest> {
  const order = { owner: { kind: 'personal' }, preset: 'deploy', github_url: scene.fake.webUrl }
  return await expectJson(await admin('POST', `${API}/manifest`, { body: { ...order, ...body } }))
}

/** Posts the form as the page does that a browser shows; where GitHub sends the browser. */
async function post(scene: GithubScene, { url, manifest }: Manifest, login = 'ada') {
  scene.fake.actAs({ login })
  const body = new URLSearchParams({ manifest: JSON.stringify(manifest) })
  const response = await fetch(url, { method: 'POST', body, redirect: 'manual' })
  const text = await response.text()
  assert.equal(response.status, 302, text)
  return (response.headers.get('location') ?? '').replace(PUBLIC_URL, '')
}

async function ownApps(admin: TestBrowser): Promise<App[]> {
  const { items } = await expectJson<{ items: App[] }>(await admin('GET', `${API}/apps`))
  return items.filter((app) => !app.from_environment)
}

async function makeApp(scene: GithubScene, admin: TestBrowser): Promise<App> {
  const back = await post(scene, await begin(scene, admin))
  assert.equal(await land(admin, back), CREATED)
  const [app] = await ownApps(admin)
  return app ?? assert.fail('no App')
}

async function secretOf(scene: GithubScene, id: string): Promise<string> {
  const { app } = scene.test
  return openHookSecret(app, await readAppHook(app.db, id)).reveal()
}

async function credentialsOf(db: Database) {
  return await db.selectFrom('integration_credentials').selectAll().execute()
}

describeOnBothEngines('GitHub Apps by a manifest', (open) => {
  it('makes one that can be used, whose webhook comes to an address of its own', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const admin = await scene.test.as('admin')
    const begun = await begin(scene, admin)
    assert.equal(begun.manifest.name, 'NanoScale nanoscale.example.com')
    assert.match(begun.manifest.hook_attributes.url, /^https:[^?]+\/hooks\/[\w-]{43}$/)
    assert.equal(await land(admin, await post(scene, begun)), CREATED)
    const [app] = await ownApps(admin)
    assert.equal(app?.status, 'active')
    assert.equal(app.owner_login, 'ada')
    assert.deepEqual(app.drift?.missing_permissions, {})
    assert.equal(app.webhook_url?.told, app.webhook_url?.ours)
    const loaded = await loadGithubApp(scene.test.app, app.id)
    const facts = await scene.github.readApp(loaded, AbortSignal.timeout(5000))
    assert.equal(facts.id, loaded.appId)
    assert.notEqual(await secretOf(scene, app.id), '')
    const stored = JSON.stringify(await credentialsOf(database.db))
    assert.ok(!stored.includes(loaded.clientSecret.reveal()))
    assert.ok(!stored.includes('PRIVATE KEY'))
  })

  it('I-09 takes no code without its state, and none twice', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const [admin, other] = [await scene.test.as('admin'), await scene.test.as('admin')]
    const refused = '/integrations/github?error=state_invalid'
    const back = await post(scene, await begin(scene, admin))
    assert.equal(await land(admin, back.replace(/&state=[\w-]+/, '')), refused)
    assert.equal(await land(other, back), refused)
    assert.deepEqual(await credentialsOf(database.db), [])
    assert.equal(await land(admin, back), CREATED)
    assert.equal(await land(admin, back), refused)
    const gone = await begin(scene, admin, { name: 'Another' })
    const spent = (await post(scene, gone)).replace(/code=\w+/, 'code=abcdef')
    assert.equal(await land(admin, spent), '/integrations/github?error=conversion_failed')
    assert.equal((await credentialsOf(database.db)).length, 2)
  })

  it('I-09 keeps what GitHub tells once, whatever is wrong with it', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const admin = await scene.test.as('admin')
    const begun = await begin(scene, admin, { owner: { kind: 'organization', login: 'acme' } })
    // Somebody makes it for themselves instead of for the organization.
    const moved = begun.url.replace('/organizations/acme', '')
    const back = await post(scene, { ...begun, url: moved }, 'eve')
    assert.equal(await land(admin, back), '/integrations/github?github=app_pending')
    const [app] = await ownApps(admin)
    assert.deepEqual([app?.status, app?.status_reason], ['pending', 'other_owner'])
    const kept = await openCredentials(scene.test.app, app?.id ?? '')
    assert.match(kept.privateKeys[0]?.reveal() ?? '', /PRIVATE KEY/)
    await assert.rejects(loadGithubApp(scene.test.app, app?.id ?? ''), (error) =>
      isOperationError(error, 'integration.not_usable'),
    )
  })

  it('waits for permissions that are missing, and goes on when they are granted', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const admin = await scene.test.as('admin')
    const begun = await begin(scene, admin)
    const less = { ...begun.manifest, default_permissions: { contents: 'read' } }
    const back = await post(scene, { ...begun, manifest: less })
    assert.equal(await land(admin, back), '/integrations/github?github=app_pending')
    const [app] = await ownApps(admin)
    assert.equal(app?.status_reason, 'permissions_missing')
    assert.deepEqual(app.drift?.missing_permissions, { repository_hooks: 'write' })
    assert.match(app.drift?.fix_url ?? '', /\/settings\/apps\/[\w-]+\/permissions$/)
    const path = `${API}/apps/${app.id}/check`
    assert.equal((await expectJson<App>(await admin('POST', path))).status, 'pending')
    const made = scene.fake.snapshot().state.apps.keys().toArray().at(-1) ?? 0
    const granted = { contents: 'read', repository_hooks: 'write' } as const
    scene.fake.requestPermissions({ id: made }, granted)
    assert.equal((await expectJson<App>(await admin('POST', path))).status, 'active')
  })

  it('I-10 goes to allowed hosts alone', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const admin = await scene.test.as('admin')
    const { host } = new URL(scene.fake.webUrl)
    const foreign = [
      'https://evil.example',
      `http://${host}@evil.example`,
      `http://${host}/x`,
      'javascript:x',
    ]
    for (const github_url of [...foreign, undefined]) {
      const order = { owner: { kind: 'personal' }, preset: 'deploy', github_url }
      const answer = await admin('POST', `${API}/manifest`, { body: order })
      const { code } = await expectJson<{ code: string }>(answer, 422)
      assert.equal(code, 'integration.site_not_allowed')
    }
    const changed = await land(admin, `${API}/manifest/callback?code=x&github_url=https://evil`)
    assert.match(changed, /state_invalid/)
  })

  it('takes a further key when GitHub knows it, and keeps the one before', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const admin = await scene.test.as('admin')
    const app = await makeApp(scene, admin)
    const { appId } = await loadGithubApp(scene.test.app, app.id)
    const path = `${API}/apps/${app.id}/keys`
    for (const private_key of ['no key', scene.made.privateKey]) {
      const answer = await admin('POST', path, { body: { private_key } })
      const { code } = await expectJson<{ code: string }>(answer, 422)
      assert.equal(code, 'integration.key_refused')
    }
    const next = await scene.fake.addPrivateKey({ id: appId })
    assert.equal((await admin('POST', path, { body: { private_key: next } })).status, 204)
    const { privateKeys } = await openCredentials(scene.test.app, app.id)
    assert.equal(privateKeys.length, 2)
    assert.equal(privateKeys[0]?.reveal(), next)
    scene.fake.removePrivateKey({ id: appId })
    assert.equal((await ownApps(admin))[0]?.drift === null, false)
  })

  it('replaces the webhook secret here and there, and keeps the old one for redeliveries', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const admin = await scene.test.as('admin')
    const app = await makeApp(scene, admin)
    const { appId } = await loadGithubApp(scene.test.app, app.id)
    const atGithub = () => scene.fake.snapshot().state.apps.get(appId)?.hook.secret
    const old = await secretOf(scene, app.id)
    assert.equal(atGithub(), old)
    const path = `${API}/apps/${app.id}/webhook-secret`
    scene.fake.faults.request({ kind: 'status', status: 500 }, { only: 'PATCH' })
    assert.equal((await admin('POST', path)).status, 502)
    assert.equal(await secretOf(scene, app.id), old, 'GitHub still signs with it')
    scene.fake.faults.clear()
    assert.equal((await admin('POST', path)).status, 204)
    const rotated = await secretOf(scene, app.id)
    assert.notEqual(rotated, old)
    assert.equal(atGithub(), rotated)
    const hook = await database.db
      .selectFrom('hooks')
      .selectAll()
      .where('integration_id', '=', app.id)
      .executeTakeFirstOrThrow()
    assert.notEqual(hook.previous_secret_sealed, null)
    const replace = (value: string) =>
      replaceHookSecret(scene.test.app, hook, new Secret(`secret ${value}`))
    assert.deepEqual([await replace('first'), await replace('late')], [true, false])
    assert.equal(await secretOf(scene, app.id), 'secret first')
  })

  it('forgets an App for its owner alone, and never that of the environment', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const [admin, owner] = [await scene.test.as('admin'), await scene.test.as('owner')]
    const app = await makeApp(scene, admin)
    assert.equal((await admin('DELETE', `${API}/apps/${app.id}`)).status, 403)
    const environment = await owner('DELETE', `${API}/apps/${scene.integrationId}`)
    assert.equal(environment.status, 409)
    assert.equal((await owner('DELETE', `${API}/apps/${app.id}`)).status, 204)
    assert.deepEqual(await ownApps(admin), [])
    assert.deepEqual(await credentialsOf(database.db), [])
  })

  it('lets only people in a browser make one', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const body = { owner: { kind: 'personal' }, preset: 'least' }
    assert.equal((await scene.test.request('POST', `${API}/manifest`, { body })).status, 403)
    const member = await scene.test.as('member')
    assert.equal((await member('POST', `${API}/manifest`, { body })).status, 403)
  })
})

describeOnBothEngines('the App from the environment', (open) => {
  it('is one row that follows the configuration, and sleeps when it is configured no more', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const { app } = scene.test
    const environmentApp = app.environmentApp ?? assert.fail()
    await ensureEnvironmentApp(app)
    const rows = () =>
      database.db.selectFrom('integrations').select(['id', 'status']).orderBy('id').execute()
    assert.deepEqual(await rows(), [{ id: scene.integrationId, status: 'active' }])
    const changed = { ...environmentApp, webhookSecret: new Secret('another') }
    await ensureEnvironmentApp({ ...app, environmentApp: changed })
    assert.equal(await secretOf(scene, scene.integrationId), 'another')
    await ensureEnvironmentApp({ ...app, environmentApp: { ...environmentApp, appId: 999 } })
    const states = (await rows()).map(({ status }) => status)
    assert.deepEqual(states, ['inactive', 'active'])
    await ensureEnvironmentApp({ ...app, environmentApp: null })
    assert.deepEqual(new Set((await rows()).map(({ status }) => status)), new Set(['inactive']))
    await ensureEnvironmentApp(app)
    assert.equal((await rows())[0]?.status, 'active')
  })

  it('is examined by the doctor: its webhook, its permissions, the clock', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const examine = async () =>
      (await checkEnvironmentApp(scene.test.app, AbortSignal.timeout(10_000))).map(
        ({ status, message }) => `${status}: ${message}`,
      )
    assert.match((await examine()).join('\n'), /^warning: .*sends its events to nowhere$/)
    scene.fake.faults.setClockSkew(300_000)
    assert.match((await examine()).join('\n'), /cannot be read|clock that is/)
    scene.fake.faults.clear()
    const app = await loadGithubApp(scene.test.app, scene.integrationId)
    const url = `${PUBLIC_URL}${API}/webhook`
    await scene.github.changeHookConfig(app, { url }, AbortSignal.timeout(5000))
    assert.match((await examine()).join('\n'), /^ok: .*deployer/)
  })
})
