import { systemErrorCode } from '../lib/errors.ts'

/** SQLite's extended codes for a unique index and for a primary key, and PostgreSQL's for both. */
const SQLITE_UNIQUE = new Set([2067, 1555])
const POSTGRES_UNIQUE = '23505'

/** True when a row was refused because an equal one exists: somebody else was first. */
export function isUniqueViolation(error: unknown): boolean {
  if (systemErrorCode(error) === POSTGRES_UNIQUE) return true
  return error instanceof Error && 'errcode' in error && SQLITE_UNIQUE.has(Number(error.errcode))
}
