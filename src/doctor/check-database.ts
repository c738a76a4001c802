import { sql } from 'kysely'

import type { Database } from '../database/database.ts'
import { messageOf } from '../lib/errors.ts'
import { failed, ok, warning, type Finding } from './finding.ts'

/** Whether the records answer, and whether what they acknowledge survives a power cut. */
export async function checkDatabase(
  db: Database,
  engine: 'sqlite' | 'postgres',
): Promise<Finding[]> {
  try {
    return engine === 'sqlite' ? await checkSqlite(db) : await checkPostgres(db)
  } catch (error) {
    const fix =
      engine === 'sqlite'
        ? 'Check the rights of the database file, and that it is on a local disk'
        : 'Check NANOSCALE_DATABASE_URL, and that the server accepts connections'
    return [failed('database', `The database does not answer: ${messageOf(error)}`, fix)]
  }
}

async function checkSqlite(db: Database): Promise<Finding[]> {
  const mode = await setting(db, 'pragma journal_mode', 'journal_mode')
  const synchronous = await setting(db, 'pragma synchronous', 'synchronous')
  const integrity = await setting(db, 'pragma quick_check(1)', 'quick_check')
  return [
    integrity === 'ok'
      ? ok('database', 'SQLite answers')
      : failed('database', `The SQLite file is damaged: ${integrity}`, 'Restore a backup'),
    judgeSqliteDurability(mode, synchronous),
  ]
}

export function judgeSqliteDurability(mode: string, synchronous: string): Finding {
  return mode === 'wal' && Number(synchronous) >= 2
    ? ok(
        'database_durability',
        'SQLite writes ahead and waits for the disk (WAL, synchronous FULL)',
      )
    : failed(
        'database_durability',
        `SQLite does not wait for the disk (journal ${mode}, synchronous ${synchronous})`,
        'Put the data directory on a local disk that supports shared memory maps',
      )
}

async function checkPostgres(db: Database): Promise<Finding[]> {
  const version = await setting(db, 'show server_version', 'server_version')
  const fsync = await setting(db, 'show fsync', 'fsync')
  const commit = await setting(db, 'show synchronous_commit', 'synchronous_commit')
  const encoding = await setting(db, 'show server_encoding', 'server_encoding')
  return [judgePostgresVersion(version, encoding), judgePostgresDurability(fsync, commit)]
}

function judgePostgresVersion(version: string, encoding: string): Finding {
  if (encoding !== 'UTF8') {
    return failed(
      'database',
      `The PostgreSQL database is encoded in ${encoding}`,
      'Make one in UTF8',
    )
  }
  return Number.parseInt(version, 10) >= 14
    ? ok('database', `PostgreSQL ${version} answers`)
    : warning(
        'database',
        `PostgreSQL ${version} is no longer maintained`,
        'Upgrade it to 14 or newer',
      )
}

export function judgePostgresDurability(fsync: string, commit: string): Finding {
  const check = 'database_durability'
  if (fsync !== 'on') {
    return failed(
      check,
      'PostgreSQL runs with fsync off: a power cut destroys the records',
      'Set fsync = on',
    )
  }
  return commit === 'off'
    ? warning(check, 'PostgreSQL acknowledges before it has written', 'Set synchronous_commit = on')
    : ok(check, `PostgreSQL waits for the disk (fsync on, synchronous_commit ${commit})`)
}

async function setting(db: Database, query: string, column: string): Promise<string> {
  const result = await sql.raw<Record<string, unknown>>(query).execute(db)
  return String(result.rows[0]?.[column])
}
