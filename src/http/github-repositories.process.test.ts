import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { API, expectJson } from './_github-scene.ts'
import { createMovableClock } from './_movable-clock.ts'
import {
  repositoryScene,
  seenBy,
  type RepositoryScene,
  type SeenRepository,
} from './_repository-scene.ts'
import { addOrganization } from './_test-app.ts'

interface Page<Item> {
  items: Item[]
  next_cursor: string | null
}

const HOUR_AND_JITTER_MS = 75 * 60 * 1000

const names = (repositories: readonly SeenRepository[]) =>
  repositories.map((repository) => repository.full_name)

/** The installation is the organization's from now on. */
async function claim({ test, installationId }: RepositoryScene, organizationId = 'org-default') {
  await test.app.db
    .updateTable('github_installations')
    .set({ organization_id: organizationId })
    .where('installation_id', '=', installationId)
    .execute()
}

describeOnBothEngines('repositories of GitHub', (open) => {
  it('shows each member what they reach, and admins what the organization claimed', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, installationId } = scene
    await fake.addRepository({ owner: 'acme', name: 'secret', private: true })
    await fake.addRepository({ owner: 'acme', name: 'old', archived: true })
    fake.addCollaborator('acme/shop', 'eve', 'pull')
    const [ada, bob, admin] = [
      await test.as('member'),
      await test.as('member'),
      await test.as('admin'),
    ]
    await scene.connect(ada, 'ada')
    await scene.connect(bob, 'eve')
    assert.deepEqual(names(await seenBy(ada, installationId)), [
      'acme/old',
      'acme/secret',
      'acme/shop',
    ])
    const [old, , shop] = await seenBy(ada, installationId)
    assert.deepEqual(
      [old?.archived, old?.private, old?.selectable, shop?.private, shop?.selectable],
      [true, false, false, true, true],
    )
    const bobs = await seenBy(bob, installationId)
    assert.ok(names(bobs).includes('acme/shop'))
    assert.ok(!names(bobs).includes('acme/secret'))
    assert.equal(bobs.find((one) => one.full_name === 'acme/shop')?.selectable, false)
    // Whoever is connected to nothing reaches nothing, admin or not.
    const path = `${API}/repos?installation_id=${installationId}`
    assert.equal((await admin('GET', path)).status, 404)
    await claim(scene)
    assert.deepEqual(names(await seenBy(admin, installationId)), [
      'acme/old',
      'acme/secret',
      'acme/shop',
    ])
    assert.deepEqual(names(await seenBy(bob, installationId)), names(bobs))
  })

  it('answers for installations of others as for unknown ones', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { test, installationId, repository } = scene
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    await seenBy(ada, installationId)
    await claim(scene)
    await addOrganization(database.db, 'org-2')
    const eve = await test.as('owner', { organizationId: 'org-2' })
    for (const id of [installationId, 999_999]) {
      const query = `installation_id=${id}`
      const body = { installation_id: id }
      const answers = [
        await eve('GET', `${API}/repos?${query}`),
        await eve('GET', `${API}/branches?${query}&repo_id=${repository.id}`),
        await eve('POST', `${API}/repos/sync`, { body }),
      ]
      for (const answer of answers) {
        const { error, code } = await expectJson<Record<string, string>>(answer, 404)
        assert.equal(code, 'github.installation_not_found')
        assert.equal(error, `Cannot find the installation "${id}" of GitHub`)
      }
    }
  })

  it('pages by name, and searches a part of it in any case', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, installationId } = scene
    for (const name of ['Api', 'api-docs', 'web', 'a_b', 'axb']) {
      await fake.addRepository({ owner: 'acme', name })
    }
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    const all = names(await seenBy(ada, installationId))
    assert.equal(all.length, 6)
    const paged: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const path = `${API}/repos?installation_id=${installationId}&limit=2${cursor && `&cursor=${cursor}`}`
      const page: Page<SeenRepository> = await expectJson(await ada('GET', path))
      paged.push(...names(page.items))
      cursor = page.next_cursor
    }
    assert.deepEqual(paged, all)
    const search = async (query: string) => {
      const path = `${API}/repos?installation_id=${installationId}&query=${encodeURIComponent(query)}`
      return names((await expectJson<Page<SeenRepository>>(await ada('GET', path))).items)
    }
    assert.deepEqual(await search('API'), ['acme/Api', 'acme/api-docs'])
    assert.deepEqual(await search('a_b'), ['acme/a_b'], '_ is no wildcard')
    assert.deepEqual(await search('%'), [])
    const bad = await ada('GET', `${API}/repos?installation_id=${installationId}&cursor=x`)
    assert.equal(bad.status, 422)
  })

  it('removes what disappeared after the last page alone, and takes it back', async () => {
    await using database = await open()
    const clock = createMovableClock()
    await using scene = await repositoryScene(database.db, { clock })
    const { fake, test, installation, installationId } = scene
    for (let index = 0; index < 120; index += 1) {
      await fake.addRepository({ owner: 'acme', name: `r${index}` })
    }
    const admin = await test.as('admin')
    await scene.connect(admin, 'ada')
    await claim(scene)
    assert.equal((await seenBy(admin, installationId)).length, 50)
    const present = () =>
      database.db
        .selectFrom('github_repositories')
        .select('repo_id')
        .where('removed_at', 'is', null)
        .execute()
        .then((rows) => rows.length)
    assert.equal(await present(), 121)
    const most = Array.from({ length: 101 }, (_, index) => `r${index}`)
    fake.changeSelection(installation, { repositories: most })
    clock.move(HOUR_AND_JITTER_MS)
    // The first page is read; what breaks off after it removes nothing.
    fake.faults.request(
      { kind: 'status', status: 500 },
      { times: 99, only: 'repositories?per_page=100&page=2' },
    )
    await scene.runJobs()
    assert.equal(await present(), 121)
    const failed = await database.db.selectFrom('github_installations').selectAll().execute()
    assert.match(failed[0]?.sync_error ?? '', /500/)
    fake.faults.clear()
    clock.move(700_000)
    await scene.runJobs()
    assert.equal(await present(), 101)
    fake.changeSelection(installation, { repositories: [...most, 'shop'] })
    clock.move(HOUR_AND_JITTER_MS)
    await scene.runJobs()
    assert.equal(await present(), 102)
  })

  it('reads an installation once, however many ask', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, installationId } = scene
    const admin = await test.as('admin')
    await scene.connect(admin, 'ada')
    await claim(scene)
    const before = fake.count('GET /api/v3/installation/repositories')
    const body = { installation_id: installationId }
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => admin('POST', `${API}/repos/sync`, { body })),
    )
    assert.ok(answers.every((answer) => answer.status === 200))
    assert.equal(fake.count('GET /api/v3/installation/repositories') - before, 1)
  })

  it('lists branches as GitHub has them, and asks it once for a few keys', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { fake, test, installationId, repository } = scene
    await fake.push(repository, { branch: 'feature/Login', files: { a: '1' } })
    const ada = await test.as('member')
    await scene.connect(ada, 'ada')
    await seenBy(ada, installationId)
    const path = `${API}/branches?installation_id=${installationId}&repo_id=${repository.id}`
    const list = async (query: string) =>
      (await expectJson<Page<{ name: string; head: string }>>(await ada('GET', `${path}${query}`)))
        .items
    assert.deepEqual(
      (await list('')).map((branch) => branch.name),
      ['feature/Login', 'main'],
    )
    const asked = fake.count('/branches')
    assert.equal(
      (await list('&query=login'))[0]?.head,
      await fake.head(repository, 'feature/Login'),
    )
    assert.equal(fake.count('/branches'), asked)
    assert.equal((await ada('GET', path.replace(/\d+$/, '1'))).status, 404)
  })
})
