import { createHash } from 'node:crypto'

import type { Database } from '../../database/database.ts'
import { toIsoTime, type Clock } from '../../lib/clock.ts'

/** A code of an authenticator app works for 90 seconds at most. */
const KEPT_MS = 5 * 60_000

/**
 * Takes a code for one use, before it is checked: of two who bring the same one, the second gets false. A wrong one is to
 * be given back by `releaseCode()`.
 */
export async function claimCode(
  deps: { db: Database; clock: Clock },
  userId: string,
  code: string,
): Promise<boolean> {
  const now = deps.clock.now()
  await deps.db
    .deleteFrom('used_totp_codes')
    .where('user_id', '=', userId)
    .where('used_at', '<', toIsoTime(now - KEPT_MS))
    .execute()
  const result = await deps.db
    .insertInto('used_totp_codes')
    .values({ user_id: userId, code_hash: hashOf(userId, code), used_at: toIsoTime(now) })
    .onConflict((conflict) => conflict.columns(['user_id', 'code_hash']).doNothing())
    .executeTakeFirst()
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n
}

export async function releaseCode(db: Database, userId: string, code: string): Promise<void> {
  await db
    .deleteFrom('used_totp_codes')
    .where('user_id', '=', userId)
    .where('code_hash', '=', hashOf(userId, code))
    .execute()
}

function hashOf(userId: string, code: string): string {
  return createHash('sha256').update(`${userId}:${code}`).digest('hex')
}
