import { PostgresDialect, type Dialect, type PostgresPoolClient } from 'kysely'

import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { encodeParameter } from './column-codec.ts'

/** `int8` in PostgreSQL's catalogue: ids of Git hosts. */
const INT8_OID = 20
/** `timestamptz`: the times of the sign-in library. Text like all other times, so that rows are equal on both engines. */
const TIMESTAMPTZ_OID = 1184

/**
 * Kysely over `pg`. The driver is loaded here and not before: the embedded default never pays for it.
 * Integers above 2^53 − 1 throw instead of being rounded to another row's id.
 */
export async function postgresDialect(url: string): Promise<Dialect> {
  const { default: pg } = await import('pg')
  const types = new pg.TypeOverrides()
  types.setTypeParser(INT8_OID, parseInt8)
  types.setTypeParser(TIMESTAMPTZ_OID, (text) => toIsoTime(Date.parse(text)))
  const pool = new pg.Pool({ connectionString: url, types, max: 10 })
  // Without a listener a connection that the server ends while idle would end this process.
  pool.on('error', () => {})
  return new PostgresDialect({
    pool: {
      connect: async () => encoding(await pool.connect()),
      end: () => pool.end(),
      options: {},
    },
  })
}

function encoding(client: { query: unknown; release: () => void }): PostgresPoolClient {
  const inner = client as unknown as PostgresPoolClient
  return new Proxy(inner, {
    get(target, property) {
      if (property !== 'query') {
        const value: unknown = Reflect.get(target, property)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      }
      return (sql: string, parameters: readonly unknown[] = []) =>
        target.query(
          sql,
          parameters.map((value) => encodeParameter(value, 'postgres')),
        )
    },
  })
}

function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) {
    throw new OperationError('database.integer_too_large', `Cannot read "${text}" exactly`)
  }
  return value
}
