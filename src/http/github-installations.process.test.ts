import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { UNCLAIMED_MS } from '../integrations/unclaimed-installations.ts'
import { toIsoTime } from '../lib/clock.ts'
import { API, expectJson, githubScene, land, tell, type GithubScene } from './_github-scene.ts'
import { createMovableClock } from './_movable-clock.ts'

const INSTALLED = '/integrations/github?github=installed'

interface Unclaimed {
  items: { id: string; installation_id: number; sender_login: string }[]
}

interface Installations {
  items: {
    id: string
    installation_id: number
    claimed: boolean
    account_role: string
  }[]
}

async function setupState(scene: GithubScene, person: Parameters<GithubScene['start']>[0]) {
  const { install_url: url } = await scene.start(person)
  assert.ok(url !== null)
  return new URL(url).searchParams.get('state') ?? ''
}

async function countInstallations(db: Database): Promise<number> {
  return (await db.selectFrom('github_installations').select('id').execute()).length
}

describeOnBothEngines('installations of a GitHub App', (open) => {
  it('I-01 stores nothing of an installation that GitHub does not list for the asker', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const foreign = scene.fake.installApp(scene.made, 'acme')
    const eve = await scene.test.as('owner')
    await scene.connect(eve, 'eve')
    const state = await setupState(scene, eve)
    const path = `${API}/setup?installation_id=${foreign.id}&setup_action=install&state=${state}`
    assert.equal(await land(eve, path), '403 github.installation_not_yours')
    assert.equal(await countInstallations(database.db), 0)
  })

  it('I-03 takes over no installation without a state that was begun here, by this session', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const { id } = scene.fake.installApp(scene.made, 'acme')
    const [ada, eve] = [await scene.test.as('member'), await scene.test.as('member')]
    await scene.connect(eve, 'eve')
    await scene.connect(ada, 'ada')
    await database.db.deleteFrom('github_installations').execute()
    const path = `${API}/setup?installation_id=${id}&setup_action=install`
    const state = await setupState(scene, ada)
    const begunThere = await ada('GET', path)
    assert.equal(begunThere.status, 403)
    assert.match(await begunThere.text(), /connect your account/)
    assert.equal(await land(eve, `${path}&state=${state}`), '403 github.state_invalid')
    assert.equal(await countInstallations(database.db), 0)
    assert.equal(await land(ada, `${path}&state=${state}`), INSTALLED)
    assert.equal(await countInstallations(database.db), 1)
    assert.equal(await land(ada, `${path}&state=${state}`), '403 github.state_invalid')
  })

  it('I-02 lets a read-only collaborator of one repository claim nothing', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    scene.fake.installApp(scene.made, 'acme')
    scene.fake.addCollaborator('acme/shop', 'eve', 'pull')
    const eve = await scene.test.as('owner')
    await scene.connect(eve, 'eve')
    const { items } = await expectJson<Installations>(await eve('GET', `${API}/installations`))
    assert.deepEqual(
      items.map((one) => one.account_role),
      ['none'],
    )
    const answer = await eve('POST', `${API}/installations/${items[0]?.id}/claim`)
    const { code } = await expectJson<{ code: string }>(answer, 403)
    assert.equal(code, 'github.claim_not_allowed')
  })

  it('waits to be claimed when it began at GitHub, and is shown to who has to do with it', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const { id } = scene.fake.installApp(scene.made, 'acme')
    const sender = scene.fake.addUser({ login: 'installer' })
    const event = { event: 'installation', installationId: id }
    await tell(scene, { ...event, senderId: sender.id, senderLogin: 'installer' })
    const [ada, eve] = [await scene.test.as('admin'), await scene.test.as('admin')]
    await scene.connect(ada, 'ada')
    await scene.connect(eve, 'eve')
    const path = `${API}/unclaimed`
    assert.deepEqual((await expectJson<Unclaimed>(await eve('GET', path))).items, [])
    const { items } = await expectJson<Unclaimed>(await ada('GET', path))
    assert.deepEqual(
      items.map((one) => [one.installation_id, one.sender_login]),
      [[id, 'installer']],
    )
    const claim = `${API}/installations/${items[0]?.id}/claim`
    assert.equal((await eve('POST', claim)).status, 404)
    assert.equal((await expectJson<{ claimed: boolean }>(await ada('POST', claim))).claimed, true)
    assert.deepEqual((await expectJson<Unclaimed>(await ada('GET', path))).items, [])
    const other = await scene.test.as('admin')
    const seen = await expectJson<Installations>(await other('GET', `${API}/installations`))
    assert.equal(seen.items[0]?.claimed, true)
    const member = await scene.test.as('member')
    const hidden = await expectJson<Installations>(await member('GET', `${API}/installations`))
    assert.deepEqual(hidden.items, [])
  })

  it('I-07 gives an installation to one of two who claim it at the same time', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    scene.fake.addUser({ login: 'cyd' })
    scene.fake.setMember('acme', 'cyd', 'admin')
    scene.fake.installApp(scene.made, 'acme')
    const people = [await scene.test.as('admin'), await scene.test.as('admin')]
    await scene.connect(people[0] ?? assert.fail(), 'ada')
    await scene.connect(people[1] ?? assert.fail(), 'cyd')
    const rows = await database.db.selectFrom('github_installations').select('id').execute()
    const path = `${API}/installations/${rows[0]?.id}/claim`
    const answers = await Promise.all(people.map((person) => person('POST', path)))
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 409],
    )
    const claims = await database.db
      .selectFrom('audit_events')
      .select('id')
      .where('action', '=', 'github.installation_claimed')
      .execute()
    assert.equal(claims.length, 1)
  })

  it('I-08 refuses the claim of what is too old, or was removed', async () => {
    await using database = await open()
    const clock = createMovableClock()
    await using scene = await githubScene(database.db, { clock })
    const ada = await scene.test.as('admin')
    const { id } = scene.fake.installApp(scene.made, 'acme')
    const event = { event: 'installation', installationId: id, senderId: 1, senderLogin: 'x' }
    await tell(scene, event)
    const rows = await database.db.selectFrom('unclaimed_installations').select('id').execute()
    const path = `${API}/installations/${rows[0]?.id}/claim`
    await scene.connect(ada, 'ada')
    await database.db
      .updateTable('unclaimed_installations')
      .set({ expires_at: toIsoTime(clock.now()) })
      .execute()
    assert.equal((await ada('POST', path)).status, 409)
    await database.db
      .updateTable('unclaimed_installations')
      .set({ expires_at: toIsoTime(clock.now() + UNCLAIMED_MS) })
      .execute()
    scene.fake.uninstall({ id })
    await tell(scene, { ...event, action: 'deleted' })
    assert.equal((await ada('POST', path)).status, 404)
  })

  it('claims by itself for a linked sender who owns the account and administers the organization', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const [ada, bob] = [await scene.test.as('owner'), await scene.test.as('owner')]
    await scene.connect(ada, 'ada')
    await scene.connect(bob, 'bob')
    const links = await database.db.selectFrom('github_user_links').selectAll().execute()
    const idOf = (userId: string) =>
      links.find((link) => link.local_user_id === userId)?.github_user_id ?? assert.fail()
    const { id } = scene.fake.installApp(scene.made, 'acme')
    const event = { event: 'installation', installationId: id }
    await tell(scene, { ...event, senderId: idOf(bob.userId), senderLogin: 'bob' })
    const read = () =>
      database.db.selectFrom('github_installations').selectAll().executeTakeFirstOrThrow()
    assert.equal((await read()).organization_id, null, 'a member of acme owns nothing there')
    await tell(scene, { ...event, senderId: idOf(ada.userId), senderLogin: 'ada' })
    assert.equal((await read()).organization_id, 'org-default')
  })
})
