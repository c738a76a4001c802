import type { Kysely, Transaction } from 'kysely'

import type { Schema } from './schema.ts'

/** The one handle of this thread. Queries take it (or a `Tx`) as their first argument. */
export type Database = Kysely<Schema>

/**
 * An open transaction. What must be atomic asks for this type: `Database` is not assignable to it. Inside a
 * transaction callback await only queries on it; on SQLite anything else waits for ever.
 */
export type Tx = Transaction<Schema>
