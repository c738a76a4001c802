import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { sweepInstallations } from '../integrations/sweep-installations.ts'
import { silentLogger } from '../lib/logger.ts'
import { addLinkedProject, API, expectJson, githubScene, linkOf, tell } from './_github-scene.ts'

interface Installations {
  items: { id: string; missing_permissions: Record<string, string> }[]
}

describeOnBothEngines('what happens at GitHub', (open) => {
  it('believes no event: one that GitHub does not confirm changes nothing', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const { id } = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    const projectId = await addLinkedProject(scene, { installationId: id })
    assert.ok(projectId !== '')
    await tell(scene, { event: 'installation', action: 'deleted', installationId: id })
    await tell(scene, { event: 'installation', action: 'suspend', installationId: id })
    const links = await database.db.selectFrom('github_user_links').selectAll().execute()
    const senderId = links[0]?.github_user_id ?? assert.fail()
    await tell(scene, { event: 'github_app_authorization', action: 'revoked', senderId })
    assert.equal((await linkOf(database.db)).active, true)
    assert.equal(
      (await database.db.selectFrom('github_user_links').select('id').execute()).length,
      1,
    )
  })

  it('I-11 disconnects the projects of an installation that was deleted, and keeps its history', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId: installation.id })
    scene.fake.uninstall(installation)
    const event = { event: 'installation', action: 'deleted', installationId: installation.id }
    await tell(scene, event)
    const { active, inactive_reason: reason } = await linkOf(database.db)
    assert.deepEqual([active, reason], [false, 'installation_deleted'])
    const rows = await database.db.selectFrom('github_installations').select('id').execute()
    assert.equal(rows.length, 1)
    const { items } = await expectJson<Installations>(await ada('GET', `${API}/installations`))
    assert.deepEqual(items, [])
  })

  it('I-12 sleeps while suspended; afterwards the branches have to be looked at', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    const projectId = await addLinkedProject(scene, { installationId: installation.id })
    scene.fake.suspend(installation)
    const event = { event: 'installation', installationId: installation.id }
    await tell(scene, { ...event, action: 'suspend' })
    assert.equal((await linkOf(database.db)).inactive_reason, 'installation_suspended')
    const asked = scene.fake.count('access_tokens')
    const order = {
      installationId: installation.id,
      repositoryIds: [scene.repository.id],
      permissions: { contents: 'read' },
    }
    const app = { ...scene.test.app.environmentApp, integrationId: scene.integrationId, slug: 'x' }
    await assert.rejects(
      scene.github.mintToken(app as never, order, AbortSignal.timeout(5000)),
      /github.gone|suspended|installation/i,
    )
    assert.equal(scene.fake.count('access_tokens'), asked, 'refused without asking')
    scene.fake.unsuspend(installation)
    assert.deepEqual(await tell(scene, { ...event, action: 'unsuspend' }), {
      kind: 'done',
      resumed: [projectId],
    })
    assert.equal((await linkOf(database.db)).active, true)
  })

  it('I-13 disconnects what was taken out of the selection, and takes it up again', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    await scene.fake.addRepository({ owner: 'acme', name: 'other', private: true, files: {} })
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    const projectId = await addLinkedProject(scene, { installationId: installation.id })
    const event = { event: 'installation_repositories', installationId: installation.id }
    scene.fake.changeSelection(installation, { selection: 'selected', repositories: ['other'] })
    await tell(scene, { ...event, action: 'removed' })
    assert.equal((await linkOf(database.db)).inactive_reason, 'repository_removed')
    scene.fake.changeSelection(installation, { selection: 'all' })
    const end = await tell(scene, { ...event, action: 'added' })
    assert.deepEqual(end, { kind: 'done', resumed: [projectId] })
  })

  it('I-14 finds by the sweep what no event told: deletion of the repository and of the installation', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId: installation.id })
    const sweep = () =>
      sweepInstallations({ ...scene.test.app, log: silentLogger }, AbortSignal.timeout(20_000))
    scene.fake.rename('acme/shop', 'store')
    await sweep()
    const renamed = await linkOf(database.db)
    assert.equal(renamed.full_name, 'acme/store')
    assert.equal(renamed.repo_url, `${scene.fake.webUrl}/acme/store.git`)
    scene.fake.deleteRepository('acme/store')
    await sweep()
    assert.equal((await linkOf(database.db)).inactive_reason, 'repository_removed')
    scene.fake.uninstall(installation)
    await sweep()
    const row = await database.db
      .selectFrom('github_installations')
      .selectAll()
      .executeTakeFirstOrThrow()
    assert.notEqual(row.removed_at, null)
  })

  it('I-15 shows what the owner has not approved yet', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db, {
      permissions: { contents: 'read', metadata: 'read', members: 'read' },
    })
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('owner')
    await scene.connect(ada, 'ada')
    const wider = { contents: 'read', repository_hooks: 'write', members: 'read' } as const
    scene.fake.requestPermissions(scene.made, wider)
    await expectJson(await ada('GET', `${API}/apps`))
    const missing = async () => {
      const { items } = await expectJson<Installations>(await ada('GET', `${API}/installations`))
      return items[0]?.missing_permissions
    }
    assert.deepEqual(await missing(), { repository_hooks: 'write' })
    scene.fake.acceptPermissions(installation)
    const event = { event: 'installation', installationId: installation.id }
    await tell(scene, { ...event, action: 'new_permissions_accepted' })
    assert.deepEqual(await missing(), {})
  })

  it('I-19 destroys the tokens of somebody who revoked their authorization', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId: installation.id, linkedBy: ada.userId })
    const [link] = await database.db.selectFrom('github_user_links').selectAll().execute()
    const senderId = link?.github_user_id ?? assert.fail()
    scene.fake.revokeAuthorization(scene.made, 'ada')
    await tell(scene, { event: 'github_app_authorization', action: 'revoked', senderId })
    assert.deepEqual(await database.db.selectFrom('github_user_links').selectAll().execute(), [])
    assert.equal((await linkOf(database.db)).inactive_reason, 'account_disconnected')
    await scene.connect(ada, 'ada')
    assert.equal((await linkOf(database.db)).active, true, 'who may push takes it up again')
  })

  it('keeps the projects of a claimed installation when who linked them disconnects', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const installation = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('admin')
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId: installation.id, linkedBy: ada.userId })
    const { items } = await expectJson<Installations>(await ada('GET', `${API}/installations`))
    await expectJson(await ada('POST', `${API}/installations/${items[0]?.id}/claim`))
    const ended = await expectJson(await ada('POST', `${API}/disconnect`, { body: {} }))
    assert.deepEqual(ended, { revoked: true, project_ids: [] })
    assert.equal((await linkOf(database.db)).active, true)
  })

  it('touches only installations of the App whose hook was called', async () => {
    await using database = await open()
    await using scene = await githubScene(database.db)
    const other = await scene.fake.createApp({ owner: 'eve', name: 'Other', events: [] })
    const foreign = scene.fake.installApp(other, 'acme')
    const own = scene.fake.installApp(scene.made, 'acme')
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId: own.id })
    const event = { event: 'installation', action: 'deleted', installationId: foreign.id }
    assert.deepEqual(await tell(scene, event), { kind: 'done', resumed: [] })
    assert.equal((await linkOf(database.db)).active, true)
  })
})
