import { sql } from 'kysely'

import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'

/** Counts what was refused: a row for each hook and minute, however much comes. */
export interface Rejections {
  /** Null: a hook that there is not. All of them are one row: addresses can be made up. */
  note(hookId: string | null): void
  /** Writes what was counted since the last time. */
  flush(): Promise<void>
}

const MINUTE_MS = 60_000

export function createRejections({ db, clock }: { db: Database; clock: Clock }): Rejections {
  let counted = new Map<string, { hook_key: string; minute: string; amount: number }>()
  const note = (hookKey: string, minute: string, amount: number) => {
    const key = `${hookKey} ${minute}`
    const known = counted.get(key)?.amount ?? 0
    counted.set(key, { hook_key: hookKey, minute, amount: known + amount })
  }
  return {
    note: (hookId) => {
      const minute = toIsoTime(clock.now() - (clock.now() % MINUTE_MS))
      note(hookId ?? 'unknown', minute, 1)
    },
    flush: async () => {
      if (counted.size === 0) return
      const rows = [...counted.values()]
      counted = new Map()
      try {
        await db
          .insertInto('webhook_rejections')
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(['hook_key', 'minute']).doUpdateSet({
              amount: sql<number>`webhook_rejections.amount + excluded.amount`,
            }),
          )
          .execute()
      } catch (error) {
        for (const row of rows) note(row.hook_key, row.minute, row.amount)
        throw error
      }
    },
  }
}
