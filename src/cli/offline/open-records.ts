import { existsSync } from 'node:fs'
import { dirname } from 'node:path'

import type { Config } from '../../config/config.ts'
import type { Database } from '../../database/database.ts'
import { openDatabase } from '../../database/open-database.ts'
import { becomeOwnerOf } from './become-owner.ts'

interface OpenRecords extends AsyncDisposable {
  db: Database
}

/** False when there is no SQLite file yet: opening one would make it. */
export function recordsExist({ database }: Pick<Config, 'database'>): boolean {
  return database.engine === 'postgres' || existsSync(database.path)
}

/** Opens the database as its owner would, until it is closed again. */
export async function openRecords({ database }: Pick<Config, 'database'>): Promise<OpenRecords> {
  const db = await openDatabase(database)
  const owner = database.engine === 'sqlite' ? becomeOwnerOf(dirname(database.path)) : null
  return {
    db,
    [Symbol.asyncDispose]: async () => {
      try {
        await db.destroy()
      } finally {
        owner?.[Symbol.dispose]()
      }
    },
  }
}
