import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { loadGithubApp } from '../integrations/github-apps.ts'
import { noteRefusedToken, userAccessToken } from '../integrations/user-token.ts'
import { isOperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import { API, expectJson, githubScene, land, type GithubScene } from './_github-scene.ts'
import { createMovableClock } from './_movable-clock.ts'

interface Status {
  connected: boolean
  login: string | null
  accounts: { needs_reconnect: boolean }[]
  installations: { account_login: string; account_role: string; claimed: boolean }[]
}

const HOUR_MS = 60 * 60 * 1000

async function linksOf(db: Database) {
  return await db.selectFrom('github_user_links').selectAll().execute()
}

async function tokenOf({ test, integrationId }: GithubScene, userId: string): Promise<string> {
  const app = await loadGithubApp(test.app, integrationId)
  const token = await userAccessToken(test.app, app, userId, AbortSignal.timeout(10_000))
  return token.reveal()
}

describeOnBothEngines('connecting GitHub', (open) => {
  it('links the account and what it was verified to reach, and keeps no token in plain text', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    scene.fake.installApp(scene.made, 'acme')
    scene.fake.installApp(scene.made, 'eve')
    const ada = await scene.test.as('member')
    assert.equal(await scene.connect(ada, 'ada'), '/integrations/github?github=connected')
    const status = await expectJson<Status>(await ada('GET', `${API}/status`))
    assert.equal(status.connected, true)
    assert.equal(status.login, 'ada')
    assert.deepEqual(
      status.installations.map((one) => [one.account_login, one.account_role, one.claimed]),
      [['acme', 'admin', false]],
    )
    const bob = await scene.test.as('member')
    await scene.connect(bob, 'bob')
    const { installations } = await expectJson<Status>(await bob('GET', `${API}/status`))
    assert.deepEqual(
      installations.map((one) => one.account_role),
      ['member'],
    )
    const stored = JSON.stringify(await linksOf(database.db))
    for (const { token } of scene.fake.tokens) assert.ok(!stored.includes(token))
  })

  it('I-03 takes a state once, in time, and from who began alone', async () => {
    await using database = await open()
    const clock = createMovableClock()
    await using scene = await githubScene(database.db, { clock })
    const ada = await scene.test.as('member')
    const eve = await scene.test.as('member')
    const refused = '/integrations/github?error=state_invalid'
    assert.equal(await land(ada, `${API}/callback?code=x`), refused)
    assert.equal(await land(ada, `${API}/callback?code=x&state=${'a'.repeat(43)}`), refused)
    const late = await scene.visit((await scene.start(ada)).url, 'ada')
    clock.move(15 * 60 * 1000)
    assert.equal(await land(ada, late), refused)
    const back = await scene.visit((await scene.start(ada)).url, 'ada')
    assert.equal(await land(eve, back), refused)
    assert.deepEqual(await linksOf(database.db), [])
    assert.equal(await land(ada, back), '/integrations/github?github=connected')
    assert.equal(await land(ada, back), refused)
    assert.equal((await linksOf(database.db)).length, 1)
  })

  it("I-04 links nothing when an attacker's code comes back in a victim's browser", async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const [victim, attacker] = [await scene.test.as('member'), await scene.test.as('member')]
    const back = await scene.visit((await scene.start(attacker)).url, 'eve')
    assert.match(await land(victim, back), /state_invalid/)
    const own = new URL((await scene.start(victim)).url).searchParams.get('state') ?? ''
    const mixed = back.replace(/state=[\w-]+/, `state=${own}`)
    // GitHub bound the code to the attacker's challenge: the victim's verifier does not fit.
    assert.equal(await land(victim, mixed), '/integrations/github?error=refused')
    assert.deepEqual(await linksOf(database.db), [])
  })

  it('I-05 asks with PKCE, and fails closed without the verifier', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const ada = await scene.test.as('member')
    const { url } = await scene.start(ada)
    const asked = new URL(url).searchParams
    assert.equal(asked.get('code_challenge_method'), 'S256')
    const changed = url.replace(/code_challenge=[\w-]+/, `code_challenge=${'b'.repeat(43)}`)
    assert.match(await land(ada, await scene.visit(changed, 'ada')), /error=refused/)
    assert.deepEqual(await linksOf(database.db), [])
  })

  it('I-06 ends cleanly when the person says no, and when GitHub answers an error as success', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const ada = await scene.test.as('member')
    const { url } = await scene.start(ada)
    const state = new URL(url).searchParams.get('state') ?? ''
    const denied = `${API}/callback?error=access_denied&state=${state}`
    assert.match(await land(ada, denied), /error=denied/)
    assert.match(await land(ada, denied), /error=state_invalid/, 'the state is consumed')
    const back = await scene.visit((await scene.start(ada)).url, 'ada')
    scene.fake.faults.request({ kind: 'oauth-error', error: 'bad_verification_code' })
    assert.match(await land(ada, back), /error=refused/)
    assert.deepEqual(await linksOf(database.db), [])
  })

  it('refuses an account that is linked to another person', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const [ada, eve] = [await scene.test.as('member'), await scene.test.as('member')]
    await scene.connect(ada, 'ada')
    assert.match(await scene.connect(eve, 'ada'), /error=linked_to_other/)
    assert.deepEqual(
      (await linksOf(database.db)).map((link) => link.local_user_id),
      [ada.userId],
    )
  })

  it('I-16 knows people by id: a login that was renamed and taken is somebody else', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const [ada, other] = [await scene.test.as('member'), await scene.test.as('member')]
    await scene.connect(ada, 'ada')
    scene.fake.renameAccount('ada', 'ada-lovelace')
    scene.fake.addUser({ login: 'ada' })
    assert.match(await scene.connect(other, 'ada'), /github=connected/)
    assert.match(await scene.connect(ada, 'ada-lovelace'), /github=connected/)
    const links = await linksOf(database.db)
    assert.equal(new Set(links.map((link) => link.github_user_id)).size, 2)
    const own = links.find((link) => link.local_user_id === ada.userId)
    assert.equal(own?.github_login, 'ada-lovelace')
  })

  it('I-17 goes back to a path of this site only', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const ada = await scene.test.as('member')
    const foreign = ['//evil.example', 'https:evil.example', '/\\evil.example', 'javascript:x']
    for (const return_to of foreign) {
      assert.equal(await scene.connect(ada, 'ada', { return_to }), '/?github=connected')
    }
    const path = '/projects/new?source=github'
    assert.equal(await scene.connect(ada, 'ada', { return_to: path }), `${path}&github=connected`)
  })

  it('I-18 renews a token once for twenty who need it, and all of them get the new one', async () => {
    await using database = await open()
    const clock = createMovableClock()
    const ticking = setInterval(() => clock.move(100), 10)
    try {
      await using scene = await githubScene(database.db, { clock })
      const ada = await scene.test.as('member')
      await scene.connect(ada, 'ada')
      const first = await tokenOf(scene, ada.userId)
      clock.move(9 * HOUR_MS)
      const before = scene.fake.count('/login/oauth/access_token')
      const twenty = Array.from({ length: 20 }, () => tokenOf(scene, ada.userId))
      const tokens = new Set(await Promise.all(twenty))
      assert.equal(tokens.size, 1)
      assert.ok(!tokens.has(first))
      assert.equal(scene.fake.count('/login/oauth/access_token'), before + 1)
    } finally {
      clearInterval(ticking)
    }
  })

  it('asks to connect again when a token can be renewed no more', async () => {
    await using database = await open()
    const clock = createMovableClock()
    await using scene = await githubScene(database.db, { clock })
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    clock.move(9 * HOUR_MS)
    scene.fake.revokeAuthorization(scene.made, 'ada')
    await assert.rejects(tokenOf(scene, ada.userId), (error) =>
      isOperationError(error, 'github.reconnect_needed'),
    )
    const status = await expectJson<Status>(await ada('GET', `${API}/status`))
    assert.equal(status.accounts[0]?.needs_reconnect, true)
    assert.match(await scene.connect(ada, 'ada'), /github=connected/)
    assert.equal(typeof (await tokenOf(scene, ada.userId)), 'string')
  })

  it('ends tokens that GitHub refused, and none that came in their place', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    const refuse = (token: string) =>
      noteRefusedToken(scene.test.app, scene.integrationId, ada.userId, new Secret(token))
    const first = await tokenOf(scene, ada.userId)
    await scene.connect(ada, 'ada')
    await refuse(first)
    const second = await tokenOf(scene, ada.userId)
    assert.notEqual(second, first)
    await refuse(second)
    await assert.rejects(tokenOf(scene, ada.userId), (error) =>
      isOperationError(error, 'github.reconnect_needed'),
    )
  })

  it('takes everything back when somebody disconnects: there, here, and for their projects', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    const path = `${API}/disconnect`
    const body = await expectJson(await ada('POST', path, { body: {} }))
    assert.deepEqual(body, { revoked: true, project_ids: [] })
    assert.deepEqual(await linksOf(database.db), [])
    assert.deepEqual(
      scene.fake.tokens.filter((token) => token.kind === 'user'),
      [],
    )
    const status = await expectJson<Status>(await ada('GET', `${API}/status`))
    assert.equal(status.connected, false)
    assert.deepEqual(status.installations, [])
    const audit = await database.db
      .selectFrom('audit_events')
      .select('action')
      .where('action', 'like', 'github.%')
      .orderBy('id')
      .execute()
    assert.deepEqual(
      audit.map(({ action }) => action),
      ['github.connected', 'github.disconnected'],
    )
  })
})
