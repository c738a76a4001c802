import type { Database } from '../database/database.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'

interface ExpiryDeps {
  db: Database
  clock: Clock
}

const HOUR_MS = 3_600_000
/** A code is good for a minute or two; afterwards nothing is gained by knowing that it was used. */
const USED_CODE_MS = HOUR_MS
/** Failures that are a day old say nothing about the next attempt. */
const THROTTLE_MS = 24 * HOUR_MS

const BATCH = 500

/** The hourly sweep over what sign-in and identity providers leave behind. */
export function identityExpiryJob(deps: ExpiryDeps): RecurringJob {
  return {
    name: 'expire-identity-records',
    everySeconds: 3600,
    leaseSeconds: 600,
    run: (signal) => expireIdentityRecords(deps, signal),
  }
}

/**
 * Removes sessions, verifications and trips to other sites that are over, codes that were used, and throttles that
 * throttle nobody. None of it is valid any more: this only frees the space.
 */
export async function expireIdentityRecords(deps: ExpiryDeps, signal?: AbortSignal): Promise<void> {
  const now = deps.clock.now()
  for (const remove of removals(deps.db, now)) {
    for (;;) {
      signal?.throwIfAborted()
      const { numDeletedRows } = await remove()
      if (numDeletedRows < BigInt(BATCH)) break
    }
  }
}

function removals(db: Database, now: number) {
  const before = (ms: number) => toIsoTime(now - ms)
  const expired = (table: 'sessions' | 'verifications' | 'oauth_states') => () =>
    db
      .deleteFrom(table)
      .where('id', 'in', (eb) =>
        eb.selectFrom(table).select('id').where('expires_at', '<', toIsoTime(now)).limit(BATCH),
      )
      .executeTakeFirst()
  return [
    expired('sessions'),
    expired('verifications'),
    expired('oauth_states'),
    () =>
      db
        .deleteFrom('sign_in_throttles')
        .where('key_hash', 'in', (eb) =>
          eb
            .selectFrom('sign_in_throttles')
            .select('key_hash')
            .where('updated_at', '<', before(THROTTLE_MS))
            .where((or) =>
              or.or([or('blocked_until', 'is', null), or('blocked_until', '<', toIsoTime(now))]),
            )
            .limit(BATCH),
        )
        .executeTakeFirst(),
    // A few per person who signs in within the hour.
    () =>
      db
        .deleteFrom('used_totp_codes')
        .where('used_at', '<', before(USED_CODE_MS))
        .executeTakeFirst()
        .then(() => ({ numDeletedRows: 0n })),
  ]
}
