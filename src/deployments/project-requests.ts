import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Tx } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { enterState, type DeploymentRow } from './enter-state.ts'
import {
  lockProject,
  readActive,
  readPending,
  requestDeployment,
  type RequestedDeployment,
} from './request-deployment.ts'

/** What a person may ask for. All of it goes through the queue, and none of it moves `considered_head`. */
interface RequestDeps {
  clock: Clock
  newId: NewId
}

/**
 * Deploys again: the newest commit that was decided about, with the configuration of now; or, with `deploymentId`,
 * that deployment with its configuration of then. `rebuild` builds even what was built before.
 * Throws `project.not_found`, `deployment.not_found` and `deployment.nothing_to_deploy`.
 */
export async function requestRedeploy(
  deps: RequestDeps,
  tx: Tx,
  request: {
    organizationId: string
    projectId: string
    deploymentId?: string | null
    rebuild: boolean
    by: Actor
  },
): Promise<RequestedDeployment> {
  const repeated =
    request.deploymentId === undefined || request.deploymentId === null
      ? null
      : await readOfProject(tx, request, request.deploymentId)
  const commit = repeated === null ? await readNewestCommit(tx, request) : commitOf(repeated)
  const requested = await requestDeployment(deps, tx, {
    projectId: request.projectId,
    cause: 'redeploy',
    commit,
    rebuild: request.rebuild,
    ...(repeated === null ? {} : { repeatsDeploymentId: repeated.id }),
  })
  const { rebuild } = request
  const details = { cause: 'redeploy', repeats_deployment_id: repeated?.id ?? null, rebuild }
  await recordRequest(deps, tx, request, requested, details)
  return requested
}

/**
 * Goes back to a deployment that was live: its release and its configuration of then. Without `deploymentId`, to the
 * one before what is live. It stays until the next push.
 * Throws `deployment.not_found` and `deployment.never_live`.
 */
export async function requestRollback(
  deps: RequestDeps,
  tx: Tx,
  request: { organizationId: string; projectId: string; deploymentId: string | null; by: Actor },
): Promise<RequestedDeployment> {
  const target =
    request.deploymentId === null
      ? await readPreviousLive(tx, request)
      : await readOfProject(tx, request, request.deploymentId)
  if (!(await wasLive(tx, target.id))) {
    throw new OperationError(
      'deployment.never_live',
      `Cannot roll back to deployment #${target.number}: it was never live`,
    )
  }
  const requested = await requestDeployment(deps, tx, {
    projectId: request.projectId,
    cause: 'rollback',
    commit: commitOf(target),
    repeatsDeploymentId: target.id,
    // Somebody wants what runs now to be gone: this does not wait for a burst to calm down.
    notBefore: deps.clock.now(),
  })
  const details = { cause: 'rollback', repeats_deployment_id: target.id }
  await recordRequest(deps, tx, request, requested, details)
  return requested
}

async function recordRequest(
  deps: RequestDeps,
  tx: Tx,
  { organizationId, projectId, by }: OfProject & { by: Actor },
  { deploymentId, number }: RequestedDeployment,
  details: Record<string, unknown>,
): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId,
    by,
    action: 'deployment.requested',
    target: { kind: 'deployment', id: deploymentId, name: `#${number}` },
    details: { project_id: projectId, ...details },
  })
}

export type CancelOutcome =
  | { kind: 'cancelled' }
  /** Its processes are being ended; or it is in its release command, and ends after that. */
  | { kind: 'cancelling' }
  | { kind: 'too_late'; state: DeploymentRow['state'] }

/** Cancels a deployment of the organization. Wake the engine afterwards. Throws `deployment.not_found`. */
export async function requestCancel(
  deps: RequestDeps,
  tx: Tx,
  request: { organizationId: string; deploymentId: string; by: Actor },
): Promise<CancelOutcome> {
  const deployment = await tx
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', request.deploymentId)
    .where('organization_id', '=', request.organizationId)
    .executeTakeFirst()
  if (deployment === undefined) throw notFound(request.deploymentId)
  const outcome = await cancelDeployment(deps, tx, deployment, 'person')
  if (outcome.kind !== 'too_late') {
    await recordAuditEvent(deps, tx, {
      organizationId: request.organizationId,
      by: request.by,
      action: 'deployment.cancelled',
      target: { kind: 'deployment', id: deployment.id, name: `#${deployment.number}` },
      details: { project_id: deployment.project_id, state: deployment.state },
    })
  }
  return outcome
}

/** Ends the queue of a project that is being deleted. Wake the engine afterwards. */
export async function cancelProjectDeployments(
  deps: RequestDeps,
  tx: Tx,
  projectId: string,
): Promise<void> {
  await lockProject(tx, projectId)
  const found = [await readPending(tx, projectId), await readActive(tx, projectId)]
  for (const deployment of found) {
    if (deployment !== undefined) await cancelDeployment(deps, tx, deployment, 'deleted')
  }
}

/**
 * Restarts what is live with the configuration of now. Null when nothing is live; a deployment that is pending anyway
 * takes the new configuration along, unless it repeats an old one.
 */
export async function requestConfigurationRestart(
  deps: RequestDeps,
  tx: Tx,
  projectId: string,
): Promise<{ id: string } | null> {
  // Before anything is read: a push that becomes pending in between would be superseded by a restart.
  await lockProject(tx, projectId)
  const live = await tx
    .selectFrom('projects')
    .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .selectAll('deployments')
    .where('projects.id', '=', projectId)
    .executeTakeFirst()
  // An active one has read its configuration already: what is live then is restarted when it has ended.
  const base = live ?? (await readActive(tx, projectId))
  if (base === undefined) return null
  const pending = await readPending(tx, projectId)
  if (pending !== undefined) return { id: pending.id }
  const { deploymentId } = await requestDeployment(deps, tx, {
    projectId,
    cause: 'configuration',
    commit: commitOf(base),
  })
  return { id: deploymentId }
}

async function cancelDeployment(
  deps: RequestDeps,
  tx: Tx,
  deployment: DeploymentRow,
  reason: 'person' | 'deleted',
): Promise<CancelOutcome> {
  const { state } = deployment
  const set = { cancel_requested_at: toIsoTime(deps.clock.now()), cancel_reason: reason }
  if (state === 'queued') {
    const ended = await enterState(deps, tx, { deployment, from: state, to: 'cancelled', set })
    return ended ? { kind: 'cancelled' } : { kind: 'too_late', state }
  }
  if (
    state === 'fetching' ||
    state === 'building' ||
    state === 'starting' ||
    state === 'checking'
  ) {
    const entered = await enterState(deps, tx, { deployment, from: state, to: 'cancelling', set })
    return entered ? { kind: 'cancelling' } : { kind: 'too_late', state }
  }
  if (state === 'cancelling') return { kind: 'cancelling' }
  if (state !== 'releasing') return { kind: 'too_late', state }
  const { numUpdatedRows } = await tx
    .updateTable('deployments')
    .set(set)
    .where('id', '=', deployment.id)
    .where('state', '=', 'releasing')
    .executeTakeFirst()
  return numUpdatedRows > 0n ? { kind: 'cancelling' } : { kind: 'too_late', state }
}

function commitOf(row: DeploymentRow) {
  return {
    sha: row.commit_sha,
    message: row.commit_message,
    author: row.commit_author,
    committedAt: row.committed_at,
  }
}

interface OfProject {
  organizationId: string
  projectId: string
}

async function readOfProject(tx: Tx, of: OfProject, id: string): Promise<DeploymentRow> {
  const row = await tx
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', of.projectId)
    .where('organization_id', '=', of.organizationId)
    .executeTakeFirst()
  if (row === undefined) throw notFound(id)
  return row
}

async function readNewestCommit(tx: Tx, of: OfProject) {
  const project = await tx
    .selectFrom('projects')
    .select('considered_head')
    .where('id', '=', of.projectId)
    .where('organization_id', '=', of.organizationId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (project === undefined) {
    throw new OperationError('project.not_found', `Cannot find project "${of.projectId}"`)
  }
  if (project.considered_head === null) {
    throw new OperationError(
      'deployment.nothing_to_deploy',
      'Cannot deploy the project: no commit of its branch was read yet',
    )
  }
  return { sha: project.considered_head, message: null, author: null, committedAt: null }
}

async function readPreviousLive(tx: Tx, of: OfProject): Promise<DeploymentRow> {
  const live = await tx
    .selectFrom('projects')
    .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .select('deployments.replaced_deployment_id')
    .where('projects.id', '=', of.projectId)
    .where('projects.organization_id', '=', of.organizationId)
    .executeTakeFirst()
  if (!live?.replaced_deployment_id) {
    throw new OperationError(
      'deployment.nothing_to_roll_back_to',
      'Cannot roll back: no other version was live before',
    )
  }
  return await readOfProject(tx, of, live.replaced_deployment_id)
}

async function wasLive(tx: Tx, deploymentId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('deployment_transitions')
    .select('id')
    .where('deployment_id', '=', deploymentId)
    .where('state', '=', 'live')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

function notFound(id: string): OperationError {
  return new OperationError('deployment.not_found', `Cannot find deployment "${id}"`)
}
