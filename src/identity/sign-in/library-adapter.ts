import type { CleanedWhere, CustomAdapter } from 'better-auth/adapters'
import type { Kysely, SelectQueryBuilder } from 'kysely'

import type { Database } from '../../database/database.ts'
import { hashToken } from '../hash-token.ts'

type Row = Record<string, unknown>
type Tables = Record<string, Row>

const OPERATORS = { eq: '=', ne: '!=', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const

/**
 * What the sign-in library reads and writes, by single statements on our tables: it never holds a transaction, which on
 * SQLite would make everybody else wait. Times are text. The token of a session is stored as its hash; the library gets
 * back the token that it gave. People who were deleted do not exist for it.
 */
export function createLibraryAdapter(database: Database): CustomAdapter {
  // The library names tables and columns itself; which ones exist is fixed by the options it is made with.
  const db = database as unknown as Kysely<Tables>
  return { ...readingOf(db), ...writingOf(db) } as CustomAdapter
}

function readingOf(db: Kysely<Tables>) {
  return {
    async findOne({ model, where }: Named) {
      const row = await filtered(db, model, where).executeTakeFirst()
      return row === undefined ? null : withToken(model, row, tokenOf(model, where))
    },
    findMany({ model, where = [], limit, sortBy, offset }: MaybeFiltered & Paging) {
      let query = filtered(db, model, where).limit(limit)
      if (sortBy !== undefined) query = query.orderBy(columnOf(sortBy.field), sortBy.direction)
      if (offset !== undefined) query = query.offset(offset)
      return query.execute()
    },
    async count({ model, where = [] }: MaybeFiltered) {
      return (await filtered(db, model, where).execute()).length
    },
  }
}

function writingOf(db: Kysely<Tables>) {
  const change = (model: string, values: Row, where: CleanedWhere[]) =>
    conditions(db.updateTable(model).set(values), model, where)
  return {
    async create({ model, data }: { model: string; data: Row }) {
      const row = await db
        .insertInto(model)
        .values(stored(model, data))
        .returningAll()
        .executeTakeFirstOrThrow()
      return withToken(model, row, data['token'])
    },
    async update({ model, where, update }: Change) {
      const query = change(model, stored(model, update), where).returningAll()
      return (await query.executeTakeFirst()) ?? null
    },
    async updateMany({ model, where, update }: Change) {
      const result = await change(model, stored(model, update), where).executeTakeFirst()
      return Number(result.numUpdatedRows)
    },
    async delete({ model, where }: Named) {
      await conditions(db.deleteFrom(model), model, where).execute()
    },
    async deleteMany({ model, where }: Named) {
      const result = await conditions(db.deleteFrom(model), model, where).executeTakeFirst()
      return Number(result.numDeletedRows)
    },
    /** Of requests at the same time one gets the row. */
    async consumeOne({ model, where }: Named) {
      const one = filtered(db, model, where).clearSelect().select('id').limit(1)
      const query = conditions(db.deleteFrom(model), model, where).where('id', 'in', one)
      return (await query.returningAll().executeTakeFirst()) ?? null
    },
    /** `where` guards the change: a row that no longer matches stays as it is. */
    async incrementOne({ model, where, increment, set = {} }: Increment) {
      const query = conditions(db.updateTable(model).set(stored(model, set)), model, where).set(
        (eb) =>
          Object.fromEntries(
            Object.entries(increment).map(([column, by]) => [
              column,
              eb(eb.ref(column), '+', by as never),
            ]),
          ),
      )
      return (await query.returningAll().executeTakeFirst()) ?? null
    },
  }
}

interface Named {
  model: string
  where: CleanedWhere[]
}

interface MaybeFiltered {
  model: string
  where?: CleanedWhere[] | undefined
}

interface Paging {
  limit: number
  sortBy?: { field: string; direction: 'asc' | 'desc' } | undefined
  offset?: number | undefined
}

interface Change extends Named {
  update: Row
}

interface Increment extends Named {
  increment: Record<string, number>
  set?: Row | undefined
}

function filtered(
  db: Kysely<Tables>,
  model: string,
  where: CleanedWhere[],
): SelectQueryBuilder<Tables, string, Row> {
  const query = conditions(db.selectFrom(model).selectAll(), model, where)
  return model === 'users' ? query.where('deleted_at', 'is', null) : query
}

/** The library names what it sorts by in its own words, unlike everything else. */
function columnOf(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

interface Filterable {
  where(column: string, operator: never, value: never): unknown
}

function conditions<Query extends Filterable>(
  query: Query,
  model: string,
  where: CleanedWhere[],
): Query {
  let narrowed = query
  for (const condition of where) {
    const { operator, value } = comparison(condition)
    const bound = isToken(model, condition) ? hashed(value) : value
    narrowed = narrowed.where(condition.field, operator as never, bound as never) as Query
  }
  return narrowed
}

function comparison({ operator, connector, value, field }: CleanedWhere) {
  if (connector === 'AND') {
    if (operator === 'in') return { operator, value }
    if (value === null) return { operator: operator === 'ne' ? 'is not' : 'is', value }
    const known = (OPERATORS as Record<string, string>)[String(operator)]
    if (known !== undefined) return { operator: known, value }
  }
  throw new Error(`The sign-in library asks for "${field}" by ${connector} ${String(operator)}`)
}

function isToken(model: string, { field }: { field: string }): boolean {
  return model === 'sessions' && field === 'token'
}

function hashed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hashed)
  return typeof value === 'string' ? hashToken(value) : value
}

function stored(model: string, data: Row): Row {
  return isToken(model, { field: 'token' }) && 'token' in data
    ? { ...data, token: hashed(data['token']) }
    : data
}

function tokenOf(model: string, where: CleanedWhere[]): unknown {
  return where.find((condition) => isToken(model, condition))?.value
}

function withToken(model: string, row: Row, token: unknown): Row {
  return model === 'sessions' && typeof token === 'string' ? { ...row, token } : row
}
