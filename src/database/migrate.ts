import { Migrator, type MigrationResult } from 'kysely/migration'

import { messageOf, OperationError } from '../lib/errors.ts'
import type { Database } from './database.ts'
import * as projects from './migrations/0001-projects.ts'
import * as deployments from './migrations/0002-deployments.ts'
import * as identity from './migrations/0003-identity.ts'
import * as audit from './migrations/0004-audit.ts'
import * as integrations from './migrations/0005-integrations.ts'
import * as webhooks from './migrations/0006-webhooks.ts'

/** In order of their names. A migration that has been released is never changed. */
const MIGRATIONS = {
  '0001-projects': projects,
  '0002-deployments': deployments,
  '0003-identity': identity,
  '0004-audit': audit,
  '0005-integrations': integrations,
  '0006-webhooks': webhooks,
}

/** Brings the database to the newest schema. Returns the names of what was run. Safe to call from several processes. */
export async function migrateToLatest(db: Database): Promise<string[]> {
  return namesOf(await migratorOf(db).migrateToLatest())
}

/** Takes the newest migration back. */
export async function migrateDown(db: Database): Promise<string[]> {
  return namesOf(await migratorOf(db).migrateDown())
}

/** Names of the migrations that this database has not seen. Reads only. */
export async function migrationsPending(db: Database): Promise<string[]> {
  const migrations = await migratorOf(db).getMigrations()
  return migrations
    .filter((migration) => migration.executedAt === undefined)
    .map((migration) => migration.name)
}

function migratorOf(db: Database): Migrator {
  return new Migrator({ db, provider: { getMigrations: () => Promise.resolve(MIGRATIONS) } })
}

function namesOf(result: {
  error?: unknown
  results?: readonly MigrationResult[] | undefined
}): string[] {
  if (result.error !== undefined) {
    throw new OperationError(
      'database.migration_failed',
      `Cannot migrate the database: ${messageOf(result.error)}`,
      { cause: result.error },
    )
  }
  return (result.results ?? []).map((migration) => migration.migrationName)
}
