import assert from 'node:assert/strict'
import { it } from 'node:test'

import { sql } from 'kysely'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { eventually } from '../../test/_deployments.ts'
import { SYSTEM } from '../audit/actor.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { createProject, type NewProject } from './create-project.ts'
import { deleteProject } from './delete-project.ts'
import { addDomain } from './domains.ts'
import { finishDeletions } from './finish-deletion.ts'
import { updateProject } from './update-project.ts'
import { openVariables } from './variable-records.ts'
import { setVariables, unsetVariable } from './variables.ts'

const config = {
  gitHosts: ['git.example.com'],
  pollIntervalSeconds: 60,
  runtime: 'process' as const,
  baseDomain: 'apps.example.com',
  publicBaseUrl: 'https://nanoscale.example.org',
}

function depsOf(db: Database) {
  const restarted: string[] = []
  return {
    db,
    config,
    clock: systemClock,
    newId,
    log: silentLogger,
    keyring: createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(1) }]),
    restarted,
    requestConfigurationRestart: (_tx: unknown, projectId: string) => {
      restarted.push(projectId)
      return Promise.resolve({ id: 'restart' })
    },
    cancelDeployments: () => Promise.resolve(),
    unlink: () => Promise.resolve(),
  }
}

function project(name: string, more: Partial<NewProject> = {}): NewProject {
  return { name, repo_url: 'https://git.example.com/you/shop', branch: 'main', ...more }
}

const refused = (code: string) => (error: unknown) => isOperationError(error, code)

describeOnBothEngines('projects', (open) => {
  it('gives equal names of two organizations two host labels and no two the same account', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const now = '2026-01-01T00:00:00.000Z'
    await database.db
      .insertInto('organizations')
      .values({ id: 'org-b', slug: 'b', name: 'B', created_at: now, updated_at: now })
      .execute()
    const first = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const second = await createProject(deps, 'org-b', project('shop'), SYSTEM)
    assert.equal(first.host_label, 'shop')
    assert.match(second.host_label, /^shop-[a-z0-9]{5}$/)
    assert.notEqual(first.account_slot, second.account_slot)
    await assert.rejects(
      createProject(deps, 'org-default', project('shop'), SYSTEM),
      refused('project.name_taken'),
    )
  })

  it('stores every one of many projects that are created at the same time', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const names = ['a', 'b', 'c', 'd']
    const made = await Promise.all(
      names.map((name) => createProject(deps, 'org-default', project(name), SYSTEM)),
    )
    assert.equal(new Set(made.map(({ account_slot }) => account_slot)).size, names.length)
  })

  it('G-20 refuses directories outside the repository, and names that are no host label', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    for (const path of ['../../etc', '/etc', '..%2fetc', 'a\0b', 'a/../../b', '..\\x']) {
      await assert.rejects(
        createProject(deps, 'org-default', project('shop', { root_directory: path }), SYSTEM),
        refused('project.invalid_settings'),
        path,
      )
    }
    for (const name of ['Shop', '-a', 'a-', 'www', 'xn--a', 'a.b', '', 'a'.repeat(41)]) {
      await assert.rejects(
        createProject(deps, 'org-default', project(name), SYSTEM),
        refused('project.invalid_name'),
        name,
      )
    }
  })

  it('looks anew at another branch, and leaves what is not named', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(
      deps,
      'org-default',
      project('shop', { health_path: '/up' }),
      SYSTEM,
    )
    await database.db.updateTable('projects').set({ considered_head: 'x' }).execute()
    const same = await updateProject(deps, 'org-default', id, { auto_deploy: false }, SYSTEM)
    assert.equal(same.considered_head, 'x')
    const moved = await updateProject(deps, 'org-default', id, { branch: 'next' }, SYSTEM)
    assert.equal(moved.considered_head, null)
    assert.equal(moved.health_path, '/up')
    assert.equal(moved.auto_deploy, false)
  })

  it('D-01 passes values byte-exact and refuses names that are the platform’s', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const value = ' "quotes" \'and\' $HOME; `id`\n\r\tüß\u{1F600}=\\'
    await setVariables(deps, 'org-default', id, [{ name: 'A_1', value }], SYSTEM)
    const [variable] = await openVariables(deps.keyring, database.db, id)
    assert.equal(variable?.value.reveal(), value)
    for (const name of [
      'PORT',
      'path',
      'LD_PRELOAD',
      'NANOSCALE_X',
      'A B',
      '1A',
      'A=B',
      "A'",
      'Ä',
      '',
    ]) {
      await assert.rejects(
        setVariables(deps, 'org-default', id, [{ name, value: 'x' }], SYSTEM),
        refused('environment.invalid'),
        name,
      )
    }
    await assert.rejects(
      setVariables(deps, 'org-default', id, [{ name: 'A', value: 'a\0b' }], SYSTEM),
      refused('environment.invalid'),
    )
  })

  it('D-14 restarts the app when a variable that it sees changed, and only then', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const set = (value: string, scope: 'build' | 'run') =>
      setVariables(deps, 'org-default', id, [{ name: `FOR_${scope}`, value, scope }], SYSTEM)
    await set('1', 'build')
    assert.equal(deps.restarted.length, 0)
    assert.equal((await set('1', 'run')).deploymentId, 'restart')
    assert.equal((await set('1', 'run')).deploymentId, null)
    await set('2', 'run')
    await unsetVariable(deps, 'org-default', id, 'FOR_run', SYSTEM)
    assert.equal(deps.restarted.length, 3)
  })

  it('takes own domains in one spelling, never the platform’s own, each once', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const other = await createProject(deps, 'org-default', project('other'), SYSTEM)
    const { hostname } = await addDomain(deps, 'org-default', id, 'Bücher.Example.com.', SYSTEM)
    assert.equal(hostname, 'xn--bcher-kva.example.com')
    await assert.rejects(
      addDomain(deps, 'org-default', other.id, hostname, SYSTEM),
      (error: Error) => refused('domain.taken')(error) && !error.message.includes('shop'),
    )
    const bad = ['apps.example.com', 'x.apps.example.com', 'nanoscale.example.org', 'localhost']
    for (const name of [
      ...bad,
      '10.0.0.1',
      'a.localhost',
      'a..b',
      'http://a.b',
      '*.a.com',
      'a b.c',
    ]) {
      await assert.rejects(
        addDomain(deps, 'org-default', id, name, SYSTEM),
        refused('domain.invalid'),
        name,
      )
    }
  })

  it('finishes deletions, and never gives an account out again', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const gone = await createProject(deps, 'org-default', project('gone'), SYSTEM)
    const removed: string[] = []
    const deletion = {
      ...deps,
      publishRoutes: () => Promise.resolve(),
      endInstance: () => Promise.resolve(),
      removeRelease: () => Promise.resolve(),
      removeAppData: (projectId: string) => Promise.resolve(void removed.push(projectId)),
      removeMirror: () => Promise.resolve(void removed.push('mirror')),
    }
    await deleteProject(deps, 'org-default', gone.id, SYSTEM)
    await finishDeletions(deletion, AbortSignal.timeout(5000))
    // The repository is another project's too, so its mirror stays.
    assert.deepEqual(removed, [gone.id])
    const next = await createProject(deps, 'org-default', project('gone'), SYSTEM)
    assert.ok(next.account_slot > gone.account_slot)
    await deleteProject(deps, 'org-default', id, SYSTEM)
    await deleteProject(deps, 'org-default', next.id, SYSTEM)
    await finishDeletions(deletion, AbortSignal.timeout(5000))
    await finishDeletions(deletion, AbortSignal.timeout(5000))
    assert.deepEqual(removed.slice(1).toSorted(), [id, next.id, 'mirror'].toSorted())
    const rows = await database.db.selectFrom('projects').select('id').execute()
    assert.deepEqual(
      rows.map((row) => row.id),
      [next.id],
    )
  })

  it('undoes no change that is made at the same moment', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const stored = Promise.withResolvers<void>()
    const other = inTransaction(database.db, async (tx) => {
      await tx.updateTable('projects').set({ branch: 'next' }).where('id', '=', id).execute()
      // On SQLite the change waits for this transaction's end anyway.
      if (database.engine === 'postgres') await stored.promise
    })
    const change = updateProject(deps, 'org-default', id, { auto_deploy: false }, SYSTEM)
    if (database.engine === 'postgres') {
      await eventually('a transaction that waits', async () => {
        const { rows } = await sql`select 1 from pg_stat_activity
          where wait_event_type = 'Lock' and datname = current_database()`.execute(database.db)
        return rows.length > 0
      })
    }
    stored.resolve()
    await other
    const { branch, auto_deploy } = await change
    assert.deepEqual({ branch, auto_deploy }, { branch: 'next', auto_deploy: false })
  })

  it('looks soon when the interval changes, and forgets the failures of another source', async () => {
    await using database = await open()
    const deps = depsOf(database.db)
    const { id } = await createProject(deps, 'org-default', project('shop'), SYSTEM)
    const later = { next_poll_at: '2999', source_failing_since: '2026-01-01T00:00:00.000Z' }
    await database.db.updateTable('projects').set(later).execute()
    const polled = await updateProject(
      deps,
      'org-default',
      id,
      { poll_interval_seconds: 30 },
      SYSTEM,
    )
    assert.notEqual(polled.next_poll_at, '2999')
    assert.equal(polled.source_failing_since, later.source_failing_since)
    const moved = await updateProject(deps, 'org-default', id, { branch: 'next' }, SYSTEM)
    assert.equal(moved.source_failing_since, null)
  })
})
