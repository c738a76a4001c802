/** Everything that touches the database is tested on both engines, each the real one. */
import { randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'

import { Client } from 'pg'

import type { Database } from '../src/database/database.ts'
import { guardTransactions } from '../src/database/in-transaction.ts'
import { migrateToLatest } from '../src/database/migrate.ts'
import { openDatabase, type DatabaseLocation } from '../src/database/open-database.ts'
import { postgresHere } from './_postgres.ts'

export interface TestDatabase extends AsyncDisposable {
  db: Database
  engine: 'sqlite' | 'postgres'
  /** To open it a second time, as another process does. */
  location: DatabaseLocation
}

interface OpenOptions {
  /** `empty`: no tables yet. Default: migrated, with the organization `org-default`. */
  schema?: 'migrated' | 'empty'
}

export type OpenTestDatabase = (options?: OpenOptions) => Promise<TestDatabase>

guardTransactions()

/** `npm run check` stays quick on SQLite alone; `npm test` runs the same tests on PostgreSQL too. */
const ENGINES = (process.env['TEST_ENGINES'] ?? 'sqlite,postgres').split(',')

/** Defines the same tests for SQLite and PostgreSQL; `open` gives each test a fresh database of its own. */
export function describeOnBothEngines(
  name: string,
  body: (open: OpenTestDatabase, engine: TestDatabase['engine']) => void,
): void {
  describe(name, () => {
    if (ENGINES.includes('sqlite')) describe('on SQLite', () => body(openSqlite, 'sqlite'))
    if (!ENGINES.includes('postgres')) return
    const postgres = postgresHere()
    const skip = postgres.kind === 'unavailable' ? postgres.reason : false
    describe('on PostgreSQL', { skip }, () => body(openPostgres, 'postgres'))
  })
}

const cleanups: (() => Promise<void> | void)[] = []
after(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** In memory where there is such a place: on a busy disk the tests wait for each commit to be written out. */
const SQLITE_HOME = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

let sqliteTemplate: Promise<string> | undefined

async function openSqlite(options: OpenOptions = {}): Promise<TestDatabase> {
  const directory = mkdtempSync(join(SQLITE_HOME, 'nanoscale-sqlite-'))
  const location: DatabaseLocation = { engine: 'sqlite', path: join(directory, 'test.db') }
  if (options.schema !== 'empty') {
    sqliteTemplate ??= makeSqliteTemplate()
    copyFileSync(await sqliteTemplate, location.path)
  }
  const db = await openDatabase(location)
  return testDatabase(db, location, () => {
    rmSync(directory, { recursive: true, force: true })
  })
}

async function makeSqliteTemplate(): Promise<string> {
  const directory = mkdtempSync(join(SQLITE_HOME, 'nanoscale-sqlite-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'template.db')
  await prepare({ engine: 'sqlite', path })
  return path
}

let administration: Promise<Administration> | undefined
interface Administration {
  execute: (sql: string) => Promise<void>
  urlOf: (database: string) => string
  template: string
}

async function openPostgres(options: OpenOptions = {}): Promise<TestDatabase> {
  administration ??= administer()
  const { execute, urlOf, template } = await administration
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await execute(
    `create database ${name} template ${options.schema === 'empty' ? 'template0' : template}`,
  )
  const location: DatabaseLocation = { engine: 'postgres', url: urlOf(name) }
  const db = await openDatabase(location)
  return testDatabase(db, location, () => execute(`drop database ${name} with (force)`))
}

/** One connection that makes and drops databases, and the template that all of them are copied from. */
async function administer(): Promise<Administration> {
  const postgres = postgresHere()
  if (postgres.kind === 'unavailable') throw new Error(postgres.reason)
  const url = await postgres.start()
  const client = new Client({ connectionString: url })
  await client.connect()
  cleanups.push(() => client.end())
  const execute = async (sql: string) => {
    await client.query(sql)
  }
  const urlOf = (database: string) => {
    const changed = new URL(url)
    changed.pathname = `/${database}`
    return changed.href
  }
  const template = `template_${randomUUID().replaceAll('-', '')}`
  await execute(`create database ${template} template template0`)
  cleanups.push(() => execute(`drop database ${template} with (force)`))
  await prepare({ engine: 'postgres', url: urlOf(template) })
  return { execute, urlOf, template }
}

async function prepare(location: DatabaseLocation): Promise<void> {
  const db = await openDatabase(location)
  await migrateToLatest(db)
  const now = '2026-01-01T00:00:00.000Z'
  await db
    .insertInto('organizations')
    .values({
      id: 'org-default',
      slug: 'default',
      name: 'Default',
      created_at: now,
      updated_at: now,
    })
    .execute()
  await db.destroy()
}

function testDatabase(
  db: Database,
  location: DatabaseLocation,
  remove: () => Promise<void> | void,
): TestDatabase {
  return {
    db,
    engine: location.engine,
    location,
    [Symbol.asyncDispose]: async () => {
      await db.destroy()
      await remove()
    },
  }
}
