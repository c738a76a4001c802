import type { Database } from '../database/database.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Logger } from '../lib/logger.ts'
import { keepDelivery, releaseDelivery, type ClaimedDelivery } from './claim-deliveries.ts'
import { finishDelivery, type DeliveryResult } from './finish-delivery.ts'
import { lookAtProjects, type LookDeps } from './look-at-projects.ts'
import { matchProjects, readHookScope, type MatchedProject } from './match-projects.ts'
import { planDelivery, type IgnoreReason, type LifecycleEvent } from './plan-delivery.ts'

/** Nothing follows when the host does not confirm what the event says. */
export type LifecycleOutcome = { kind: 'done' } | { kind: 'ignored'; reason: IgnoreReason }

export interface ProcessDeps extends LookDeps {
  db: Database
  clock: Clock
  newId: NewId
  log: Logger
  /** Reads at the host what an event is about, and stores what the host says. */
  lifecycle(event: LifecycleEvent, signal: AbortSignal): Promise<LifecycleOutcome>
}

/** Makes of one delivery what there is to make, and stores what became of it. What fails is tried again later. */
export async function processDelivery(
  deps: ProcessDeps,
  delivery: ClaimedDelivery,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const keeping = keepDelivery(deps, delivery, over.signal).catch(() => {})
  try {
    const result = await understand(deps, delivery, signal)
    const state = await finishDelivery(deps, delivery, result)
    const { ignored, failure } = result
    const facts = { deliveryId: delivery.id, event: delivery.event_type, state, ignored, failure }
    if (failure === null) deps.log.info('A delivery was worked on', facts)
    else deps.log.warn('A delivery was not worked on', facts)
  } catch (error) {
    if (!signal.aborted) throw error
    await releaseDelivery(deps.db, delivery)
  } finally {
    over.abort()
    await keeping
  }
}

async function understand(
  deps: ProcessDeps,
  delivery: ClaimedDelivery,
  signal: AbortSignal,
): Promise<DeliveryResult> {
  const hook = await readHookScope(deps.db, delivery.hook_id)
  if (hook === undefined) return ignoredFor('no_project')
  const plan = planDelivery(delivery, hook)
  if (plan.kind === 'ignored') return ignoredFor(plan.reason)
  if (plan.kind === 'lifecycle') return await tell(deps, plan.event, signal)
  const match = await matchProjects(deps.db, hook, plan)
  if (match.kind === 'none') return ignoredFor(match.reason)
  const due = await withoutDone(deps.db, delivery, match.projects)
  const outcomes = await lookAtProjects(deps, due, plan, signal)
  const failed = outcomes.some(({ outcome }) => outcome === 'failed')
  return {
    ignored: plan.after === null ? 'deleted' : null,
    outcomes,
    // Which, how many and why stands with each project: a delivery may concern several organizations.
    failure: failed ? 'Not every project could look at the branch' : null,
  }
}

function ignoredFor(reason: string): DeliveryResult {
  return { ignored: reason, outcomes: [], failure: null }
}

async function tell(
  deps: ProcessDeps,
  event: LifecycleEvent,
  signal: AbortSignal,
): Promise<DeliveryResult> {
  try {
    const outcome = await deps.lifecycle(event, signal)
    if (outcome.kind === 'ignored') return ignoredFor(outcome.reason)
    return { ignored: null, outcomes: [], failure: null }
  } catch (error) {
    if (signal.aborted) throw error
    return { ignored: null, outcomes: [], failure: messageOf(error) }
  }
}

/** A further attempt is for those that failed; a replay begins anew. */
async function withoutDone(
  db: Database,
  delivery: ClaimedDelivery,
  projects: readonly MatchedProject[],
): Promise<readonly MatchedProject[]> {
  if (delivery.attempts === 0) return projects
  const done = await db
    .selectFrom('delivery_outcomes')
    .select('project_id')
    .where('webhook_delivery_id', '=', delivery.id)
    .where('outcome', '<>', 'failed')
    .execute()
  return projects.filter(({ projectId }) => !done.some((one) => one.project_id === projectId))
}
