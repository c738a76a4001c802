import { chownSync, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

import type { Config } from '../../config/config.ts'
import type { Database } from '../../database/database.ts'
import { openDatabase } from '../../database/open-database.ts'

interface OpenRecords extends AsyncDisposable {
  db: Database
}

/** False when there is no SQLite file yet: opening one would make it. */
export function recordsExist({ database }: Pick<Config, 'database'>): boolean {
  return database.engine === 'postgres' || existsSync(database.path)
}

export async function openRecords({ database }: Pick<Config, 'database'>): Promise<OpenRecords> {
  const db = await openDatabase(database)
  return {
    db,
    [Symbol.asyncDispose]: async () => {
      await db.destroy()
      if (database.engine === 'sqlite') giveToOwnerOfDirectory(database.path)
    },
  }
}

/** A file that root makes beside those of the server must still be the server's own to write. */
export function giveToOwnerOfDirectory(path: string): void {
  if (process.getuid?.() !== 0 || !existsSync(path)) return
  const { uid, gid } = statSync(dirname(path))
  chownSync(path, uid, gid)
}
