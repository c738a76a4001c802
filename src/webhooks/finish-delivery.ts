import { SYSTEM, type Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { ClaimedDelivery } from './claim-deliveries.ts'
import type { ProjectOutcome } from './look-at-projects.ts'
import { SUSPICIOUS } from './plan-delivery.ts'

/** What became of a delivery. `failure`: something of it is to be tried again. */
export interface DeliveryResult {
  /** Null: something was done for it. */
  ignored: string | null
  outcomes: readonly ProjectOutcome[]
  failure: string | null
}

interface FinishDeps {
  db: Database
  clock: Clock
  newId: NewId
}

/** After the first, second, … failure; after the last one there is no further attempt. */
const BACK_OFF_MS = [5000, 30_000, 120_000, 600_000]
const MAX_MESSAGE_CHARACTERS = 1000

/**
 * Stores what became of a delivery with what it meant for each project, all or nothing; nothing when the lease was lost.
 * Returns its state.
 */
export async function finishDelivery(
  deps: FinishDeps,
  delivery: ClaimedDelivery,
  result: DeliveryResult,
): Promise<'received' | 'processed' | 'ignored' | 'failed' | 'lost'> {
  const { failure } = result
  const retryMs = failure === null ? undefined : BACK_OFF_MS[delivery.attempts]
  const over = failure === null || retryMs === undefined
  const state = failure === null ? doneState(result) : over ? 'failed' : 'received'
  const now = deps.clock.now()
  return await inTransaction(deps.db, async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('webhook_deliveries')
      .set({
        state,
        reason: result.ignored,
        handled: state === 'processed',
        error_message: failure?.slice(0, MAX_MESSAGE_CHARACTERS) ?? null,
        attempts: delivery.attempts + 1,
        next_attempt_at: retryMs === undefined ? null : toIsoTime(now + retryMs),
        lease_token: null,
        lease_expires_at: null,
        processed_at: over ? toIsoTime(now) : null,
      })
      .where('id', '=', delivery.id)
      .where('lease_token', '=', delivery.lease_token)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) return 'lost'
    const stored = await storeOutcomes(deps, tx, delivery, result.outcomes)
    if (over) await audit(deps, tx, delivery, { ...result, outcomes: stored })
    return state
  })
}

function doneState({ ignored }: DeliveryResult): 'ignored' | 'processed' {
  return ignored === null ? 'processed' : 'ignored'
}

/** A project that was removed meanwhile has no use for its outcome. */
async function storeOutcomes(
  deps: FinishDeps,
  tx: Tx,
  delivery: ClaimedDelivery,
  outcomes: readonly ProjectOutcome[],
): Promise<ProjectOutcome[]> {
  if (outcomes.length === 0) return []
  const projects = await tx
    .selectFrom('projects')
    .select('id')
    .where(
      'id',
      'in',
      outcomes.map(({ projectId }) => projectId),
    )
    .execute()
  const left = outcomes.filter((one) => projects.some(({ id }) => id === one.projectId))
  for (const { organizationId, projectId, outcome, reason, head, deploymentId } of left) {
    const result = {
      outcome,
      reason: reason?.slice(0, MAX_MESSAGE_CHARACTERS) ?? null,
      head,
      deployment_id: deploymentId,
      created_at: toIsoTime(deps.clock.now()),
    }
    await tx
      .insertInto('delivery_outcomes')
      .values({
        id: deps.newId(),
        organization_id: organizationId,
        webhook_delivery_id: delivery.id,
        project_id: projectId,
        ...result,
      })
      .onConflict((conflict) =>
        conflict.columns(['webhook_delivery_id', 'project_id']).doUpdateSet(result),
      )
      .execute()
  }
  return left
}

/** Of what is ignored only what should not have come: a busy account pushes thousands of other branches a day. */
async function audit(
  deps: FinishDeps,
  tx: Tx,
  delivery: ClaimedDelivery,
  { ignored, outcomes, failure }: DeliveryResult,
): Promise<void> {
  const by: Actor = { ...SYSTEM, kind: 'provider', id: delivery.hook_id, name: delivery.provider }
  const known = { delivery_id: delivery.id, event: delivery.event_type, action: delivery.action }
  for (const { organizationId, projectId, outcome, reason, head } of outcomes) {
    await recordAuditEvent(deps, tx, {
      organizationId,
      by,
      action: 'delivery.processed',
      outcome: outcome === 'failed' ? 'failed' : 'done',
      target: { kind: 'project', id: projectId },
      details: { ...known, outcome, reason, head },
    })
  }
  const conflict = delivery.facts.guid_conflict ? 'guid_conflict' : null
  const suspicion = ignored !== null && SUSPICIOUS.has(ignored) ? ignored : conflict
  if (suspicion === null && (outcomes.length > 0 || (ignored !== null && failure === null))) return
  await recordAuditEvent(deps, tx, {
    organizationId: delivery.organization_id,
    by,
    action: suspicion === null ? 'delivery.processed' : 'delivery.suspicious',
    outcome: suspicion === null ? (failure === null ? 'done' : 'failed') : 'refused',
    target: { kind: 'delivery', id: delivery.id },
    details: { ...known, reason: suspicion ?? failure, repo_id: delivery.repo_id },
  })
}
