import type { Database, Tx } from './database.ts'

/** A transaction of queries alone is over in milliseconds; a longer one awaits something else. */
const STUCK_AFTER_MS = 1000

let guarded = false

/** Makes transactions that take over a second fail loudly. On in every test. */
export function guardTransactions(): void {
  guarded = true
}

/**
 * Runs `work` in one transaction: all of it is stored, or nothing. `work` awaits only queries on its `tx`: on SQLite
 * there is one connection, so anything else that needs the database waits for ever.
 */
export async function inTransaction<Result>(
  db: Database,
  work: (tx: Tx) => Promise<Result>,
): Promise<Result> {
  const transaction = db.transaction().execute(work)
  return guarded ? await failWhenStuck(transaction) : await transaction
}

async function failWhenStuck<Result>(transaction: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const stuck = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error('A transaction callback awaits something other than its tx')),
      STUCK_AFTER_MS,
    )
  })
  try {
    return await Promise.race([transaction, stuck])
  } finally {
    clearTimeout(timer)
  }
}
