import { DatabaseSync } from 'node:sqlite'

/** SQLite's code for "another connection holds the lock". */
const SQLITE_BUSY = 5

/**
 * Takes a lock that only one process of this machine can hold, or returns null when it is held. The kernel gives it
 * back when the holder dies, however it dies: it is an open transaction on a small SQLite file, so there is no stale
 * lock to find out about. Throws when the file cannot be made.
 */
export function acquireLock(path: string): AsyncDisposable | null {
  const database = new DatabaseSync(path)
  try {
    database.exec('pragma busy_timeout = 0')
    // The default journal: locks of WAL are about readers too.
    database.exec('begin exclusive')
  } catch (error) {
    database.close()
    if (
      error instanceof Error &&
      'errcode' in error &&
      Number(error.errcode) % 256 === SQLITE_BUSY
    ) {
      return null
    }
    throw error
  }
  return {
    [Symbol.asyncDispose]: () => {
      database.close()
      return Promise.resolve()
    },
  }
}
