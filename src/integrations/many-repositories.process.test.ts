import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { RepositoryFacts } from '../githosts/github-host.ts'
import { addGithubApp } from '../http/_test-github.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { listReachedRepositories, openInstallation } from './repositories.ts'
import { saveRepositories } from './repository-records.ts'

const AMOUNT = 100_000
/** A person who types waits for this; a busy machine gets ten times what it takes here. */
const QUICK_MS = 2000

describeOnBothEngines('an installation of 100,000 repositories', (open) => {
  it('is paged and searched quickly', async () => {
    await using database = await open()
    const asker = { organizationId: 'org-default', userId: null, seesClaimed: true }
    await addGithubApp({ db: database.db, clock: systemClock }, 'org-default')
    const wanted = { installationId: 10, integrationId: null }
    const installation = await openInstallation(database.db, asker, wanted)
    await fill(database.db, installation.row)
    const list = async (after: { fullName: string; id: string } | null, query: string | null) => {
      const began = performance.now()
      const page = { after, limit: 100, query }
      const found = await listReachedRepositories(database.db, asker, installation, page)
      assert.ok(performance.now() - began < QUICK_MS, `${performance.now() - began} ms`)
      return found.map(({ row }) => row)
    }
    const first = await list(null, null)
    assert.equal(first[0]?.full_name, 'acme/r000000')
    const last = first.at(-1)
    assert.ok(last !== undefined)
    const second = await list({ fullName: last.full_name, id: last.id }, null)
    assert.equal(second[0]?.full_name, 'acme/r000100')
    const late = await list({ fullName: 'acme/r099990', id: '' }, null)
    assert.equal(late.length, 10)
    assert.equal((await list(null, 'R09999'))[0]?.full_name, 'acme/r099990')
    assert.deepEqual(await list(null, 'nothing like this'), [])
  })
})

async function fill(
  db: Database,
  installation: Parameters<typeof saveRepositories>[2]['installation'],
) {
  const seenAt = '2026-01-01T00:00:00.000Z'
  for (let from = 0; from < AMOUNT; from += 1000) {
    const facts = Array.from({ length: 1000 }, (_, index) => factsOf(from + index))
    await inTransaction(db, (tx) =>
      saveRepositories(tx, { newId }, { installation, facts, seenAt }),
    )
  }
}

function factsOf(index: number): RepositoryFacts {
  const name = `r${String(index).padStart(6, '0')}`
  return {
    id: index + 1,
    nodeId: `R_${index}`,
    ownerLogin: 'acme',
    name,
    fullName: `acme/${name}`,
    defaultBranch: 'main',
    isPrivate: true,
    htmlUrl: `https://git.example.com/acme/${name}`,
    cloneUrl: `https://git.example.com/acme/${name}.git`,
    archived: false,
    disabled: false,
    pushedAt: null,
    permissions: { admin: false, push: false, pull: true },
  }
}
