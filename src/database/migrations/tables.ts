import { sql, type ColumnDataType, type Kysely, type RawBuilder } from 'kysely'

/** What migrations share. Like them it imports kysely alone and never changes its meaning once released. */
export type Db = Kysely<Record<string, Record<string, unknown>>>
type Type = ColumnDataType | RawBuilder<unknown>

/** Column types that differ between the engines. Ordered text compares by bytes on both. */
export function typesOf(db: Db) {
  const postgres = db.getExecutor().adapter.constructor.name === 'PostgresAdapter'
  return {
    postgres,
    text: (postgres ? sql`text collate "C"` : 'text') as Type,
    bigint: (postgres ? 'bigint' : 'integer') as Type,
    boolean: (postgres ? 'boolean' : 'integer') as Type,
    /** Times that the sign-in library compares: as text they would never pass on PostgreSQL. */
    moment: (postgres ? sql`timestamptz(3)` : 'text') as Type,
  }
}

/** A table of one project's things: id, organization and project, which takes its rows along when it goes. */
export function tenantTable(db: Db, name: string) {
  const { text } = typesOf(db)
  return db.schema
    .createTable(name)
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('project_id', text, (c) => c.notNull().references('projects.id').onDelete('cascade'))
}

export async function index(db: Db, table: string, columns: string[]): Promise<void> {
  await db.schema
    .createIndex(`${table}_${columns.join('_')}`)
    .on(table)
    .columns(columns)
    .execute()
}

/** Columns with the index that each may have alone. */
export async function dropColumns(db: Db, table: string, columns: string[]): Promise<void> {
  for (const column of columns) {
    await db.schema.dropIndex(`${table}_${column}`).ifExists().execute()
    await db.schema.alterTable(table).dropColumn(column).execute()
  }
}
