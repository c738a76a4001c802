import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { addLinkedProject, API, expectJson, githubScene, linkOf, tell } from './_github-scene.ts'
import { repositoryScene, seenBy } from './_repository-scene.ts'

const LEAVE = '/api/organizations/org-default/membership'

async function stateOf(db: Database) {
  const { active, inactive_reason: reason } = await linkOf(db)
  return [active, reason]
}

describeOnBothEngines('rights on repositories that end', (open) => {
  it('ends the projects of who leaves, and takes them up when they are back and connect', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await githubScene(db)
    const { id: installationId } = scene.fake.installApp(scene.made, 'acme')
    const [ada, other] = [await scene.test.as('member'), await scene.test.as('admin')]
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId, linkedBy: ada.userId })
    const members = await db.selectFrom('organization_members').selectAll().execute()
    const membership = members.find(({ user_id }) => user_id === ada.userId) ?? assert.fail()
    const back = await scene.visit((await scene.start(ada)).url, 'ada')
    assert.equal((await ada('DELETE', LEAVE)).status, 204)
    assert.deepEqual(await stateOf(db), [false, 'member_removed'])
    await ada('GET', back)
    assert.deepEqual(await stateOf(db), [false, 'member_removed'])
    await tell(scene, { event: 'installation', action: 'unsuspend', installationId })
    assert.deepEqual(await stateOf(db), [false, 'member_removed'])
    await db.insertInto('organization_members').values(membership).execute()
    await scene.connect(ada, 'ada')
    assert.deepEqual(await stateOf(db), [true, null])
    assert.equal((await other('DELETE', LEAVE)).status, 204)
    assert.deepEqual(await stateOf(db), [true, null])
  })

  it('keeps the projects of who leaves where the organization claimed the installation', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await githubScene(db)
    const { id: installationId } = scene.fake.installApp(scene.made, 'acme')
    const [first, ada] = [await scene.test.as('member'), await scene.test.as('admin')]
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId, linkedBy: first.userId })
    assert.equal((await first('DELETE', LEAVE)).status, 204)
    assert.deepEqual(await stateOf(db), [false, 'member_removed'])
    const row = await db.selectFrom('github_installations').select('id').executeTakeFirstOrThrow()
    await expectJson(await ada('POST', `${API}/installations/${row.id}/claim`))
    assert.deepEqual(await stateOf(db), [true, null])
    await db.updateTable('project_github_links').set({ linked_by_user_id: ada.userId }).execute()
    assert.equal((await ada('DELETE', LEAVE)).status, 204)
    assert.deepEqual(await stateOf(db), [true, null])
  })

  it('wakes no project whose person disconnected while its installation slept', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await githubScene(db)
    const installation = scene.fake.installApp(scene.made, 'acme')
    const installationId = installation.id
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    await addLinkedProject(scene, { installationId, linkedBy: ada.userId })
    scene.fake.suspend(installation)
    await tell(scene, { event: 'installation', action: 'suspend', installationId })
    assert.deepEqual(await stateOf(db), [false, 'installation_suspended'])
    await expectJson(await ada('POST', `${API}/disconnect`, { body: {} }))
    scene.fake.unsuspend(installation)
    const end = await tell(scene, { event: 'installation', action: 'unsuspend', installationId })
    assert.deepEqual(end, { kind: 'done', resumed: [] })
    assert.deepEqual(await stateOf(db), [false, 'account_disconnected'])
  })

  it('lets another account at GitHub have no part in what the one before it reached', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await repositoryScene(db)
    const { fake, repository, installationId } = scene
    const person = await scene.test.as('member')
    await scene.connect(person, 'ada')
    await fake.addRepository({ owner: 'acme', name: 'other', private: true, files: {} })
    assert.equal((await seenBy(person, installationId)).length, 2)
    await addLinkedProject(scene, { installationId, linkedBy: person.userId })
    fake.addCollaborator(repository, 'eve', 'pull')
    await scene.connect(person, 'eve')
    const path = `${API}/repos?installation_id=${installationId}`
    assert.deepEqual((await expectJson<{ items: [] }>(await person('GET', path))).items, [])
    assert.equal((await seenBy(person, installationId)).length, 1)
    assert.deepEqual(await stateOf(db), [false, 'account_disconnected'])
    await scene.connect(person, 'ada')
    assert.deepEqual(await stateOf(db), [true, null])
  })
})
