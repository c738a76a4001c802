import { sql } from 'kysely'

import { index, typesOf, type Db } from './tables.ts'

/** What was done by whom. Events are inserted plainly; a leader chains them afterwards, in order of `sequence`. */
export async function up(db: Db): Promise<void> {
  const { text, bigint } = typesOf(db)
  await db.schema
    .createTable('audit_events')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.references('organizations.id'))
    .addColumn('occurred_at', text, (c) => c.notNull())
    .addColumn('actor_kind', text, (c) =>
      c
        .notNull()
        .check(sql`actor_kind in ('operator', 'user', 'token', 'provider', 'system', 'anonymous')`),
    )
    .addColumn('actor_id', text)
    .addColumn('actor_name', text)
    .addColumn('address', text)
    .addColumn('request_id', text)
    .addColumn('action', text, (c) => c.notNull())
    .addColumn('outcome', text, (c) =>
      c.notNull().check(sql`outcome in ('done', 'refused', 'failed')`),
    )
    .addColumn('target_kind', text)
    .addColumn('target_id', text)
    .addColumn('target_name', text)
    .addColumn('details', text, (c) => c.notNull())
    .addColumn('sequence', bigint, (c) => c.unique())
    .addColumn('mac', text)
    .execute()
  await index(db, 'audit_events', ['organization_id', 'id'])
  // The leader looks for these every second: the index has the events of that second alone.
  await db.schema
    .createIndex('audit_events_unsealed')
    .on('audit_events')
    .column('id')
    .where(sql<boolean>`sequence is null`)
    .execute()
  // One row: where the chain ends (`head`), and where it begins after old events were removed (`checkpoint`).
  await db.schema
    .createTable('audit_chain')
    .addColumn('name', text, (c) => c.primaryKey().check(sql`name in ('head', 'checkpoint')`))
    .addColumn('sequence', bigint, (c) => c.notNull())
    .addColumn('event_mac', text, (c) => c.notNull())
    .addColumn('signed_at', text, (c) => c.notNull())
    .addColumn('signature', text, (c) => c.notNull())
    .execute()
}

export async function down(db: Db): Promise<void> {
  for (const table of ['audit_chain', 'audit_events']) await db.schema.dropTable(table).execute()
}
