import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { expectJson } from '../http/_github-scene.ts'
import { createMovableClock } from '../http/_movable-clock.ts'
import { repositoryScene } from '../http/_repository-scene.ts'
import { loadGithubApp } from './github-apps.ts'
import { createLinkedSources } from './linked-sources.ts'

const signal = () => AbortSignal.timeout(30_000)

/** A project of acme/shop, and how its source is read. */
async function linkedScene(db: Database) {
  const clock = createMovableClock()
  const scene = await repositoryScene(db, { clock })
  const ada = await scene.test.as('member')
  await scene.connect(ada, 'ada')
  const { installationId, repository } = scene
  const github_source = {
    installation_id: installationId,
    repo_id: repository.id,
    selected_branch: 'main',
  }
  const body = { name: 'shop', github_source }
  const { id } = await expectJson<{ id: string }>(await ada('POST', '/api/projects', { body }), 201)
  const linked = createLinkedSources(scene.test.app)
  const source = { projectId: id }
  return { ...scene, clock, ada, linked, source }
}

describeOnBothEngines('createLinkedSources()', (open) => {
  it('P-18 reads heads by the API, and costs nothing while nothing changes', async () => {
    await using database = await open()
    await using scene = await linkedScene(database.db)
    const { fake, linked, repository, source } = scene
    const head = await fake.head(repository)
    assert.deepEqual(await linked.readHead(source, 'main', signal()), { kind: 'found', sha: head })
    const app = fake.requests.findLast(({ path }) => path.includes('/git/ref/'))
    assert.ok(app !== undefined)
    const { remaining } = await budget(scene)
    for (let look = 0; look < 5; look += 1) {
      const again = await linked.readHead(source, 'main', signal())
      assert.deepEqual(again, { kind: 'found', sha: head })
    }
    assert.equal((await budget(scene)).remaining, remaining)
    const next = await fake.push(repository, { files: { a: '2' } })
    assert.deepEqual(await linked.readHead(source, 'main', signal()), { kind: 'found', sha: next })
    assert.deepEqual(await linked.readHead(source, 'none', signal()), { kind: 'branch_gone' })
    assert.deepEqual(await linked.readHead({ projectId: 'other' }, 'main', signal()), {
      kind: 'ask_git',
    })
  })

  it('leaves the look to Git where the API does not answer', async () => {
    await using database = await open()
    await using scene = await linkedScene(database.db)
    const { fake, linked, source } = scene
    fake.faults.request({ kind: 'primary-rate-limit' }, { times: 99, only: '/git/ref/' })
    assert.deepEqual(await linked.readHead(source, 'main', signal()), { kind: 'ask_git' })
  })

  it('gives a token that reads this repository alone, and no other project any', async () => {
    await using database = await open()
    await using scene = await linkedScene(database.db)
    const { fake, linked, repository, source } = scene
    await fake.addRepository({ owner: 'acme', name: 'other', private: true })
    const access = await linked.forProject(source, signal())
    assert.equal(access?.repoUrl, `${fake.webUrl}/acme/shop.git`)
    assert.equal(access.credential.origin, fake.webUrl)
    const token = access.credential.password.reveal()
    const made = fake.tokens.find((one) => one.token === token)
    assert.ok(made !== undefined && 'repositoryIds' in made)
    assert.deepEqual([...(made.repositoryIds ?? [])], [repository.id])
    assert.equal(made.permissions['contents'], 'read')
    assert.equal(made.permissions['repository_hooks'], undefined)
    const stored = await database.db.selectFrom('project_github_links').selectAll().execute()
    assert.ok(!JSON.stringify(stored).includes(token))
    assert.equal(await linked.forProject({ projectId: 'other' }, signal()), null)
    assert.equal(await linked.forProject({}, signal()), null)
  })

  it('P-13 fetches from where the repository is now, never from who took its name', async () => {
    await using database = await open()
    await using scene = await linkedScene(database.db)
    const { fake, linked, repository, source, clock } = scene
    await linked.forProject(source, signal())
    fake.rename(repository, 'store')
    await fake.addRepository({ owner: 'acme', name: 'shop', files: { evil: '1' } })
    clock.move(60_000)
    const access = await linked.forProject(source, signal())
    assert.equal(access?.repoUrl, `${fake.webUrl}/acme/store.git`)
    const project = await database.db.selectFrom('projects').select('repo_url').execute()
    assert.deepEqual(project, [{ repo_url: `${fake.webUrl}/acme/store.git` }])
    const head = await fake.head(repository)
    assert.deepEqual(await linked.readHead(source, 'main', signal()), { kind: 'found', sha: head })
  })

  it('P-16 I-11 says clearly when the way to the repository has ended', async () => {
    await using database = await open()
    await using scene = await linkedScene(database.db)
    const { fake, linked, installation, source, clock } = scene
    fake.suspend(installation)
    clock.move(60_000)
    await assert.rejects(linked.readHead(source, 'main', signal()), { code: 'github.gone' })
    await database.db
      .updateTable('project_github_links')
      .set({ active: false, inactive_reason: 'installation_deleted' })
      .execute()
    const ended = { code: 'github.link_inactive', message: /acme\/shop.*uninstalled/ }
    await assert.rejects(linked.readHead(source, 'main', signal()), ended)
    await assert.rejects(linked.forProject(source, signal()), ended)
  })
})

async function budget({
  github,
  test,
  integrationId,
  installationId,
}: Awaited<ReturnType<typeof linkedScene>>) {
  const left = github.remainingBudget(await loadGithubApp(test.app, integrationId), installationId)
  assert.ok(left !== null)
  return left
}
