import type { DeliveryFacts } from '../githosts/github-host.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { loadGithubApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'

type Deps = IntegrationDeps & { log: Logger }

/** The first attempt and three more: what fails then is not mended by another one. */
const MAX_ATTEMPTS = 4
/** Attempts of one event lie within this. */
const OVERLAP_MS = 60 * 60 * 1000
/** GitHub keeps deliveries for three days. */
const KEPT_MS = 3 * 24 * 60 * 60 * 1000
const MAX_REDELIVERIES = 50
/** Of one sweep: what is behind it was told too long ago to matter more than the heads of branches. */
const MAX_LISTED = 5000
/** One that is under way is no failure yet. */
const SETTLED_MS = 30 * 1000

/**
 * What is to be asked for again: events of which no attempt came through, those about installations and repositories
 * first. A push that was missed matters less: the heads of branches are looked at anyway.
 */
export function planRedeliveries(
  deliveries: readonly DeliveryFacts[],
  now: number,
): DeliveryFacts[] {
  const events = [...Map.groupBy(deliveries, ({ guid }) => guid).values()]
  const failed = events.flatMap((attempts) => {
    const newest = attempts.toSorted((a, b) => b.deliveredAt.localeCompare(a.deliveredAt))[0]
    if (newest === undefined || attempts.some(isDelivered)) return []
    if (attempts.length >= MAX_ATTEMPTS) return []
    return now - Date.parse(newest.deliveredAt) < SETTLED_MS ? [] : [newest]
  })
  const isPush = ({ event }: DeliveryFacts) => Number(event === 'push')
  return failed.toSorted((a, b) => isPush(a) - isPush(b)).slice(0, MAX_REDELIVERIES)
}

/** A timeout has no status code. */
function isDelivered({ statusCode }: DeliveryFacts): boolean {
  return statusCode !== null && statusCode >= 200 && statusCode < 300
}

/** The sweep that asks GitHub again for what it could not deliver: it does not try a second time by itself. */
export function redeliveryJob(deps: Deps): RecurringJob {
  return {
    name: 'redeliver',
    everySeconds: 180,
    leaseSeconds: 600,
    run: async (signal) => {
      const apps = await deps.db
        .selectFrom('integrations')
        .select(['id', 'swept_at'])
        .where('type', '=', 'github')
        .where('status', '=', 'active')
        .orderBy('swept_at')
        .execute()
      for (const { id, swept_at } of apps) {
        signal.throwIfAborted()
        try {
          await redeliverFailed(deps, { id, sweptAt: swept_at }, signal)
        } catch (error) {
          // One App that cannot be asked must not keep the others.
          if (!isOperationError(error)) throw error
          deps.log.warn('Cannot look through the deliveries of a GitHub App', {
            integrationId: id,
            reason: error.message,
          })
        }
      }
    },
  }
}

async function redeliverFailed(
  deps: Deps,
  { id, sweptAt }: { id: string; sweptAt: string | null },
  signal: AbortSignal,
): Promise<void> {
  const app = await loadGithubApp(deps, id)
  const now = deps.clock.now()
  const last = sweptAt === null ? now - KEPT_MS : Date.parse(sweptAt) - OVERLAP_MS
  const since = toIsoTime(Math.max(last, now - KEPT_MS))
  const deliveries: DeliveryFacts[] = []
  for await (const delivery of deps.github.listDeliveries(app, since, signal)) {
    deliveries.push(delivery)
    if (deliveries.length === MAX_LISTED) break
  }
  const wanted = planRedeliveries(deliveries, now)
  for (const { id: deliveryId } of wanted) await deps.github.redeliver(app, deliveryId, signal)
  if (wanted.length > 0) {
    deps.log.info('Asked GitHub for deliveries again', { integrationId: id, amount: wanted.length })
  }
  await deps.db
    .updateTable('integrations')
    .set({ swept_at: toIsoTime(now) })
    .where('id', '=', id)
    .execute()
}
