import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { expectJson } from './_github-scene.ts'
import { createMovableClock } from './_movable-clock.ts'
import { hooksAt, repositoryScene, type RepositoryScene } from './_repository-scene.ts'
import { PUBLIC_URL, REPO, type TestBrowser } from './_test-app.ts'

interface Project {
  id: string
  source: string
  repo_url: string
  branch: string
  github: {
    full_name: string
    private: boolean
    repo_id: number
    webhook: string
    webhook_error: string | null
  } | null
}

interface Refusal {
  code: string
  details?: Record<string, string[]>
}

function bodyOf(scene: RepositoryScene, name = 'shop', repoId = scene.repository.id) {
  const { installationId } = scene
  const github_source = {
    installation_id: installationId,
    repo_id: repoId,
    selected_branch: 'main',
  }
  return { name, github_source }
}

async function create(person: TestBrowser, body: object): Promise<Project> {
  return await expectJson(await person('POST', '/api/projects', { body }), 201)
}

async function refused(person: TestBrowser, body: object, status: number): Promise<Refusal> {
  return await expectJson(await person('POST', '/api/projects', { body }), status)
}

describeOnBothEngines('projects of GitHub repositories', (open) => {
  it('links a project to what GitHub says of the repository, by its id', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, repository } = scene
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    const project = await create(ada, bodyOf(scene))
    assert.equal(project.source, 'github')
    assert.equal(project.repo_url, `${fake.webUrl}/acme/shop.git`)
    assert.equal(project.branch, 'main')
    assert.equal(project.github?.full_name, 'acme/shop')
    assert.equal(project.github?.private, true)
    assert.equal(project.github?.repo_id, repository.id)
    assert.deepEqual(test.reconciled, [project.id])
    const [link] = await database.db.selectFrom('project_github_links').selectAll().execute()
    assert.equal(link?.repo_id, repository.id)
    assert.equal(link?.linked_by_user_id, ada.userId)
    assert.equal(link?.active, true)
    const fixed = await ada('PATCH', `/api/projects/${project.id}`, { body: REPO })
    assert.equal((await expectJson<Refusal>(fixed, 422)).code, 'source.host_not_allowed')
    const other = { repo_url: `${fake.webUrl}/acme/other.git` }
    const moved = await ada('PATCH', `/api/projects/${project.id}`, { body: other })
    assert.equal((await expectJson<Refusal>(moved, 422)).code, 'project.source_fixed')
    await expectJson(
      await ada('PATCH', `/api/projects/${project.id}`, { body: { branch: 'next' } }),
    )
    const after = await database.db.selectFrom('project_github_links').selectAll().execute()
    assert.equal(after[0]?.selected_branch, 'next')
  })

  it('takes exactly one kind of source, and no field that it does not know', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const ada = await scene.test.as('member')
    const body = bodyOf(scene)
    const both = await refused(ada, { ...body, ...REPO }, 422)
    assert.deepEqual(Object.keys(both.details ?? {}).toSorted(), [
      'branch',
      'github_source',
      'repo_url',
    ])
    const none = await refused(ada, { name: 'shop' }, 422)
    assert.deepEqual(Object.keys(none.details ?? {}).toSorted(), [
      'branch',
      'github_source',
      'repo_url',
    ])
    const half = await refused(ada, { name: 'shop', repo_url: REPO.repo_url }, 422)
    assert.deepEqual(Object.keys(half.details ?? {}), ['branch'])
    const unknown = { ...body, github_source: { ...body.github_source, token: 'x' } }
    const named = await refused(ada, unknown, 422)
    assert.deepEqual(Object.keys(named.details ?? {}), ['github_source.token'])
    const hosts = [...scene.test.app.config.gitHosts, 'git.example.com']
    scene.test.app.config = { ...scene.test.app.config, gitHosts: hosts }
    const manual = await create(ada, { name: 'manual', ...REPO })
    assert.deepEqual([manual.source, manual.github], ['manual', null])
  })

  it('I-02 asks for the right of the person to push, as it is at this moment', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, repository } = scene
    const [ada, reader] = [await test.as('member'), await test.as('member')]
    await scene.connect(ada, 'ada')
    fake.addCollaborator(repository, 'eve', 'pull')
    await scene.connect(reader, 'eve')
    assert.equal((await refused(reader, bodyOf(scene), 403)).code, 'github.push_right_needed')
    fake.addCollaborator(repository, 'eve', 'push')
    await create(reader, bodyOf(scene, 'of-eve'))
    fake.addCollaborator(repository, 'eve', null)
    const gone = await refused(reader, bodyOf(scene, 'again'), 404)
    assert.equal(gone.code, 'github.repository_not_found')
    const unknown = await refused(ada, bodyOf(scene, 'none', 999_999), 404)
    assert.equal(unknown.code, 'github.repository_not_found')
    const stranger = await test.as('member')
    const foreign = await refused(stranger, bodyOf(scene, 'foreign'), 404)
    assert.equal(foreign.code, 'github.installation_not_found')
    fake.setArchived(repository, true)
    assert.equal((await refused(ada, bodyOf(scene, 'old'), 422)).code, 'github.repository_archived')
  })

  it('lets a token act as who made it, and admins by the claim of their organization', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { test, installationId } = scene
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    const made = await expectJson<{ token: string }>(
      await ada('POST', '/api/tokens', { body: { name: 'ci', scopes: ['projects:write'] } }),
      201,
    )
    const byToken = { body: bodyOf(scene, 'by-token'), token: made.token }
    await expectJson(await test.request('POST', '/api/projects', byToken), 201)
    const operator = { body: bodyOf(scene, 'by-operator') }
    assert.equal((await test.request('POST', '/api/projects', operator)).status, 404)
    await database.db
      .updateTable('github_installations')
      .set({ organization_id: 'org-default' })
      .where('installation_id', '=', installationId)
      .execute()
    await expectJson(await test.request('POST', '/api/projects', operator), 201)
    await create(await test.as('admin'), bodyOf(scene, 'by-admin'))
    assert.equal(
      (await refused(await test.as('member'), bodyOf(scene, 'no'), 404)).code,
      'github.installation_not_found',
    )
    const links = await database.db
      .selectFrom('project_github_links')
      .select('linked_by_user_id')
      .orderBy('id')
      .execute()
    assert.deepEqual(
      links.map((link) => link.linked_by_user_id),
      [ada.userId, null, null],
    )
  })

  it('makes one webhook for all projects of a repository, and removes it with the last', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, repository } = scene
    const owner = await test.as('owner')
    await scene.connect(owner, 'ada')
    const first = await create(owner, bodyOf(scene, 'first'))
    assert.equal(first.github?.webhook, 'active')
    const [hook] = hooksAt(fake, repository.id)
    assert.match(hook?.config.url ?? '', new RegExp(`^${PUBLIC_URL}/hooks/[\\w-]{43}$`))
    assert.deepEqual(hook?.events, ['push'])
    const [link] = await database.db.selectFrom('project_github_links').selectAll().execute()
    assert.equal(link?.webhook_id, hook?.id)
    const stored = await database.db.selectFrom('hooks').selectAll().execute()
    assert.ok(!JSON.stringify(stored).includes(hook?.config.secret ?? 'none'))
    const second = await create(owner, bodyOf(scene, 'second'))
    assert.equal(hooksAt(fake, repository.id).length, 1)
    const remove = async (project: Project) => {
      assert.equal((await owner('DELETE', `/api/projects/${project.id}`)).status, 202)
      await scene.runJobs()
    }
    await remove(first)
    assert.equal(hooksAt(fake, repository.id).length, 1)
    await remove(second)
    assert.deepEqual(hooksAt(fake, repository.id), [])
    assert.deepEqual(await database.db.selectFrom('project_github_links').selectAll().execute(), [])
    const third = await create(owner, bodyOf(scene, 'third'))
    assert.equal(third.github?.webhook, 'active')
    assert.equal(hooksAt(fake, repository.id).length, 1)
  })

  it('makes the project when its webhook cannot be made, shows why, and makes it later', async () => {
    await using database = await open()
    const clock = createMovableClock()
    await using scene = await repositoryScene(database.db, { clock })
    const { fake, test, repository } = scene
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    fake.faults.request({ kind: 'status', status: 500 }, { times: 99, only: '/hooks' })
    const project = await create(ada, bodyOf(scene))
    assert.equal(project.github?.webhook, 'failed')
    assert.match(project.github?.webhook_error ?? '', /500/)
    fake.faults.clear()
    clock.move(10 * 60 * 1000)
    await scene.runJobs()
    assert.equal(hooksAt(fake, repository.id).length, 1)
    const after = await expectJson<Project>(await ada('GET', `/api/projects/${project.id}`))
    assert.deepEqual([after.github?.webhook, after.github?.webhook_error], ['active', null])
    clock.move(7 * 60 * 60 * 1000)
    await scene.runJobs()
    assert.equal(hooksAt(fake, repository.id).length, 1)
  })

  it("leaves pushes to the App's webhook where it may make none at repositories", async () => {
    await using database = await open()
    const permissions = { contents: 'read', metadata: 'read', members: 'read' } as const
    await using scene = await repositoryScene(database.db, { permissions })
    const ada = await scene.test.as('member')
    await scene.connect(ada, 'ada')
    const project = await create(ada, bodyOf(scene))
    assert.equal(project.github?.webhook, 'app')
    assert.deepEqual(hooksAt(scene.fake, scene.repository.id), [])
    const [link] = await database.db.selectFrom('project_github_links').selectAll().execute()
    assert.deepEqual([link?.hook_id, link?.webhook_id], [null, null])
  })

  it('P-13 follows a repository to its new name', async () => {
    await using database = await open()
    const clock = createMovableClock()
    await using scene = await repositoryScene(database.db, { clock })
    const { fake, test, repository, installationId } = scene
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    const project = await create(ada, bodyOf(scene))
    fake.rename(repository, 'store')
    await fake.addRepository({ owner: 'acme', name: 'shop', files: { evil: '1' } })
    clock.move(1000)
    const body = { installation_id: installationId }
    await expectJson(await ada('POST', '/api/integrations/github/repos/sync', { body }))
    const after = await expectJson<Project>(await ada('GET', `/api/projects/${project.id}`))
    assert.equal(after.github?.full_name, 'acme/store')
    assert.equal(after.repo_url, `${fake.webUrl}/acme/store.git`)
    assert.equal(after.github?.repo_id, repository.id)
  })

  it('I-14 follows a repository to another account where the person may push there', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, repository, made } = scene
    const [ada, eve] = [await test.as('member'), await test.as('member')]
    await scene.connect(ada, 'ada')
    await scene.connect(eve, 'eve')
    await create(ada, bodyOf(scene))
    const elsewhere = fake.installApp(made, 'eve')
    fake.transfer(repository, 'eve')
    const body = { installation_id: elsewhere.id }
    const linkedTo = async (person: TestBrowser, login: string) => {
      await scene.connect(person, login)
      await expectJson(await person('POST', '/api/integrations/github/repos/sync', { body }))
      const links = await database.db.selectFrom('project_github_links').selectAll().execute()
      return [links[0]?.installation_id, links[0]?.full_name]
    }
    assert.deepEqual(await linkedTo(eve, 'eve'), [scene.installationId, 'eve/shop'])
    fake.addCollaborator(repository, 'ada', 'push')
    assert.deepEqual(await linkedTo(ada, 'ada'), [elsewhere.id, 'eve/shop'])
  })
})
