import { Kysely } from 'kysely'

import { columnCodec } from './column-codec.ts'
import type { Database } from './database.ts'
import { postgresDialect } from './postgres-dialect.ts'
import type { Schema } from './schema.ts'
import { sqliteDialect } from './sqlite-dialect.ts'

/** Where the records are: a file of the embedded default, or a PostgreSQL server. */
export type DatabaseLocation =
  | { engine: 'sqlite'; path: string }
  | { engine: 'postgres'; url: string }

/** Opens the one handle of this thread. `await db.destroy()` closes it. */
export async function openDatabase(location: DatabaseLocation): Promise<Database> {
  const dialect =
    location.engine === 'sqlite'
      ? sqliteDialect(location.path)
      : await postgresDialect(location.url)
  return new Kysely<Schema>({ dialect, plugins: [columnCodec] })
}
