import type { Database } from '../database/database.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'

const DAY_MS = 86_400_000
/** Hosts send again for three days; bodies may name what is private. */
const BODY_DAYS = 7
/** As long as a delivery is known, the same one is not worked on again. */
const DELIVERY_DAYS = 90
const REJECTION_DAYS = 30
const BATCH = 500

interface ExpiryDeps {
  db: Database
  clock: Clock
}

/** The hourly sweep over the inbox. */
export function deliveryExpiryJob(deps: ExpiryDeps): RecurringJob {
  return {
    name: 'expire-deliveries',
    everySeconds: 3600,
    leaseSeconds: 600,
    run: (signal) => expireDeliveries(deps, signal),
  }
}

/** Removes bodies after 7 days, deliveries after 90, counts of refused calls after 30. */
export async function expireDeliveries(deps: ExpiryDeps, signal?: AbortSignal): Promise<void> {
  for (const remove of removals(deps)) {
    for (;;) {
      signal?.throwIfAborted()
      if ((await remove()) < BATCH) break
    }
  }
}

function removals({ db, clock }: ExpiryDeps): (() => Promise<number>)[] {
  const before = (days: number) => toIsoTime(clock.now() - days * DAY_MS)
  return [
    async () => {
      const { numUpdatedRows } = await db
        .updateTable('webhook_deliveries')
        .set({ body_sealed: null })
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('webhook_deliveries')
            .select('id')
            .where('created_at', '<', before(BODY_DAYS))
            .where('body_sealed', 'is not', null)
            .limit(BATCH),
        )
        .executeTakeFirst()
      return Number(numUpdatedRows)
    },
    async () => {
      const { numDeletedRows } = await db
        .deleteFrom('webhook_deliveries')
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('webhook_deliveries')
            .select('id')
            .where('created_at', '<', before(DELIVERY_DAYS))
            .where('state', '<>', 'received')
            .limit(BATCH),
        )
        .executeTakeFirst()
      return Number(numDeletedRows)
    },
    async () => {
      await db
        .deleteFrom('webhook_rejections')
        .where('minute', '<', before(REJECTION_DAYS))
        .execute()
      return 0
    },
  ]
}
