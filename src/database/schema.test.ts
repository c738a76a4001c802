import assert from 'node:assert/strict'
import { it } from 'node:test'

import { sql } from 'kysely'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { addProject, EMPTY_DEPLOYMENT, EMPTY_PROJECT } from '../../test/_instance.ts'
import { newId } from '../lib/ids.ts'
import { isUniqueViolation } from './database-errors.ts'
import type { Database } from './database.ts'
import { inTransaction } from './in-transaction.ts'

const NOW = '2026-01-01T00:00:00.000Z'

async function deploy(
  db: Database,
  projectId: string,
  number: number,
  state: 'queued' | 'building' | 'checking' | 'live',
) {
  const row = { ...EMPTY_DEPLOYMENT, id: newId(), project_id: projectId, number, state }
  await db.insertInto('deployments').values(row).execute()
  return row.id
}

describeOnBothEngines('the schema', (open) => {
  it('D-07 lets a project have one active and one pending deployment', async () => {
    await using test = await open()
    const projectId = await addProject(test.db)
    await deploy(test.db, projectId, 1, 'live')
    await deploy(test.db, projectId, 2, 'live')
    await deploy(test.db, projectId, 3, 'building')
    await deploy(test.db, projectId, 4, 'queued')
    await assert.rejects(deploy(test.db, projectId, 5, 'checking'), isUniqueViolation)
    await assert.rejects(deploy(test.db, projectId, 5, 'queued'), isUniqueViolation)
    await deploy(test.db, await addProject(test.db), 1, 'building')
  })

  it('tells a unique violation from other errors', async () => {
    await using test = await open()
    const projectId = await addProject(test.db)
    await deploy(test.db, projectId, 1, 'live')
    await assert.rejects(deploy(test.db, projectId, 1, 'live'), isUniqueViolation)
    const id = await deploy(test.db, projectId, 2, 'live')
    const again = test.db
      .insertInto('deployments')
      .values({ ...EMPTY_DEPLOYMENT, id, project_id: projectId, number: 3 })
    await assert.rejects(again.execute(), isUniqueViolation)
    const orphan = deploy(test.db, 'no-such-project', 1, 'live')
    await assert.rejects(orphan, (error) => !isUniqueViolation(error))
  })

  it('keeps foreign keys, and takes the rows of a project along', async () => {
    await using test = await open()
    const { db } = test
    const projectId = await addProject(db)
    const id = await deploy(db, projectId, 1, 'live')
    await assert.rejects(
      db.updateTable('projects').set({ live_deployment_id: 'nothing' }).execute(),
    )
    await db.updateTable('projects').set({ live_deployment_id: id }).execute()
    await assert.rejects(db.deleteFrom('deployments').where('id', '=', id).execute())
    await db.updateTable('projects').set({ live_deployment_id: null }).execute()
    await db.deleteFrom('projects').where('id', '=', projectId).execute()
    assert.deepEqual(await db.selectFrom('deployments').select('id').execute(), [])
  })

  it('has an index for every foreign key', async () => {
    await using test = await open()
    const foreignKeys = await (test.engine === 'sqlite' ? sqliteForeignKeys : postgresForeignKeys)(
      test.db,
    )
    assert.ok(foreignKeys.length > 15)
    assert.deepEqual(
      foreignKeys.filter(({ indexed }) => !indexed),
      [],
    )
  })

  it('refuses values that no state has', async () => {
    await using test = await open()
    await addProject(test.db)
    const change = sql`update projects set runtime = 'vm'`
    await assert.rejects(change.execute(test.db))
  })

  it('gives organization_id to every table of a tenant', async () => {
    await using test = await open()
    const instanceWide = [
      // Of the instance, of people, or of an App that every organization may use.
      'organizations encryption_keys jobs instance_secrets audit_chain audit_events',
      'users sessions accounts verifications two_factors used_totp_codes sign_in_throttles',
      'oauth_states clerk_messages clerk_records integrations integration_credentials hooks',
      'webhook_deliveries webhook_rejections github_user_links github_installations branch_heads',
      'github_installation_users unclaimed_installations github_repositories',
      'github_repository_users github_webhook_deliveries',
    ].flatMap((names) => names.split(' '))
    const tables = await test.db.introspection.getTables()
    assert.ok(tables.length > 10)
    for (const table of tables.filter(({ name }) => !instanceWide.includes(name))) {
      assert.ok(
        table.columns.some(({ name, isNullable }) => name === 'organization_id' && !isNullable),
        table.name,
      )
    }
  })
})

describeOnBothEngines('values', (open) => {
  it('come back as they went in: booleans, JSON, large integers, nulls', async () => {
    await using test = await open()
    const { db } = test
    const id = newId()
    const values = {
      ...EMPTY_PROJECT,
      id,
      name: 'ä "quoted" \u{1f600}',
      host_label: 'x',
      account_slot: 1,
      auto_deploy: false,
      watch_paths: ['src/**', 'ü'],
      source_repo_id: Number.MAX_SAFE_INTEGER,
    }
    await db.insertInto('projects').values(values).execute()
    const row = await db
      .selectFrom('projects')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    assert.deepEqual({ ...row }, values)
    const updated = await db
      .updateTable('projects')
      .set({ auto_deploy: true, watch_paths: null })
      .where('auto_deploy', '=', false)
      .returning(['auto_deploy', 'watch_paths'])
      .execute()
    assert.deepEqual(updated, [{ auto_deploy: true, watch_paths: null }])
  })

  it('are refused rather than rounded above 2^53 − 1', async () => {
    await using test = await open()
    await addProject(test.db)
    await sql`update projects set source_repo_id = 9007199254740993`.execute(test.db)
    await assert.rejects(test.db.selectFrom('projects').select('source_repo_id').execute())
  })

  it('are refused when they are undefined or a Date', async () => {
    await using test = await open()
    const where = (value: unknown) =>
      test.db
        .selectFrom('projects')
        .selectAll()
        .where('created_at', '=', value as string)
        .execute()
    await assert.rejects(where(undefined), /Cannot bind undefined/)
    await assert.rejects(where(new Date()), /use toIsoTime/)
  })

  it('are ordered by their bytes on both engines', async () => {
    await using test = await open()
    const names = ['b', 'B', 'a', 'A', 'ä', '_', '-', '1', 'Z', 'aa', 'a b']
    for (const [index, name] of names.entries()) {
      const row = { id: newId(), slug: name, name: String(index), created_at: NOW, updated_at: NOW }
      await test.db.insertInto('organizations').values(row).execute()
    }
    const rows = await test.db
      .selectFrom('organizations')
      .select('slug')
      .where('slug', '!=', 'default')
      .orderBy('slug')
      .execute()
    const byBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(
      rows.map(({ slug }) => slug),
      byBytes,
    )
  })
})

describeOnBothEngines('inTransaction()', (open) => {
  it('stores all or nothing', async () => {
    await using test = await open()
    const failing = inTransaction(test.db, async (tx) => {
      await tx.updateTable('organizations').set({ name: 'changed' }).execute()
      throw new Error('changed my mind')
    })
    await assert.rejects(failing, /changed my mind/)
    const row = await test.db.selectFrom('organizations').select('name').executeTakeFirst()
    assert.equal(row?.name, 'Default')
  })

  it('fails within about a second when something else is awaited inside', async () => {
    await using test = await open()
    const { promise: never, resolve } = Promise.withResolvers<void>()
    // The mistake itself: the handle waits for the transaction, and that for the handle. PostgreSQL has other connections.
    const readOutside = async () => {
      const rows = await test.db.selectFrom('projects').select('id').execute()
      if (test.engine === 'postgres') await never
      return rows
    }
    const stuck = inTransaction(test.db, readOutside)
    await assert.rejects(stuck, /awaits something other than its tx/)
    resolve()
  })
})

describeOnBothEngines('durability', (open, engine) => {
  // PostgreSQL's is its server's to decide; the doctor looks at it.
  if (engine === 'postgres') return
  it('is on: write-ahead log, synchronous FULL, foreign keys, a busy timeout', async () => {
    await using test = await open()
    const pragma = async (name: string) => {
      const result = await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(test.db)
      return Object.values(result.rows[0] ?? {})[0]
    }
    assert.equal(await pragma('journal_mode'), 'wal')
    assert.equal(await pragma('synchronous'), 2)
    assert.equal(await pragma('foreign_keys'), 1)
    assert.equal(await pragma('busy_timeout'), 5000)
  })
})

interface ForeignKey {
  table: string
  column: string
  indexed: boolean
}

async function sqliteForeignKeys(db: Database): Promise<ForeignKey[]> {
  const result = await sql<{ table: string; column: string; indexed: number }>`
    select t.name as "table", f."from" as "column", exists (
      select 1 from pragma_index_list(t.name) i, pragma_index_info(i.name) c
      where c.seqno = 0 and c.name = f."from"
    ) as indexed
    from sqlite_master t, pragma_foreign_key_list(t.name) f
    where t.type = 'table'`.execute(db)
  return result.rows.map((row) => ({ ...row, indexed: row.indexed === 1 }))
}

async function postgresForeignKeys(db: Database): Promise<ForeignKey[]> {
  const result = await sql<ForeignKey>`
    select c.conrelid::regclass::text as "table", a.attname as "column", exists (
      select 1 from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]
    ) as indexed
    from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f'`.execute(db)
  return result.rows
}
