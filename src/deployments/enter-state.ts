import type { Updateable } from 'kysely'

import { SYSTEM } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Tx } from '../database/database.ts'
import type { DeploymentState, Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import { canMove, isEnded } from './deployment-state.ts'

export type DeploymentRow = Schema['deployments']

interface Move {
  deployment: Pick<
    DeploymentRow,
    'id' | 'organization_id' | 'project_id' | 'number' | 'cause' | 'commit_sha' | 'lease_token'
  >
  from: DeploymentState
  to: DeploymentState
  /** What else changes with the move. */
  set?: Updateable<Schema['deployments']>
}

/**
 * Moves a deployment by compare-and-set on its state and lease token, and records when. False when it is not in
 * `from` any more or another worker holds it: the caller has lost it and must not act on it.
 */
export async function enterState(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  move: Move,
): Promise<boolean> {
  const { deployment, from, to, set } = move
  if (!canMove(from, to)) throw new Error(`A deployment never moves from ${from} to ${to}`)
  const now = toIsoTime(deps.clock.now())
  const ended = isEnded(to) ? { ended_at: now, lease_token: null, lease_expires_at: null } : {}
  const { numUpdatedRows } = await tx
    .updateTable('deployments')
    .set({ state: to, ...ended, ...set })
    .where('id', '=', deployment.id)
    .where('state', '=', from)
    .where('lease_token', deployment.lease_token === null ? 'is' : '=', deployment.lease_token)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return false
  await recordTransition(deps, tx, { deployment, state: to })
  if (to === 'live' || to === 'failed' || to === 'interrupted') await recordEnd(deps, tx, move)
  return true
}

async function recordEnd(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  { deployment, to, set }: Move,
): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId: deployment.organization_id,
    by: SYSTEM,
    action: 'deployment.ended',
    outcome: to === 'live' ? 'done' : 'failed',
    target: { kind: 'deployment', id: deployment.id, name: `#${deployment.number}` },
    details: {
      project_id: deployment.project_id,
      state: to,
      cause: deployment.cause,
      commit_sha: deployment.commit_sha,
      failure_code: set?.failure_code ?? null,
    },
  })
}

/** Adds the entry of a state to the deployment's timeline. */
export async function recordTransition(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  entry: { deployment: Pick<DeploymentRow, 'id' | 'organization_id'>; state: DeploymentState },
): Promise<void> {
  await tx
    .insertInto('deployment_transitions')
    .values({
      id: deps.newId(),
      organization_id: entry.deployment.organization_id,
      deployment_id: entry.deployment.id,
      state: entry.state,
      entered_at: toIsoTime(deps.clock.now()),
    })
    .execute()
}
