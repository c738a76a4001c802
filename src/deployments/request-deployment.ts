import type { Tx } from '../database/database.ts'
import type { DeploymentCause } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { ACTIVE_STATES } from './deployment-state.ts'
import { enterState, recordTransition } from './enter-state.ts'
import { planStart } from './queue-decisions.ts'

export interface RequestedDeployment {
  deploymentId: string
  number: number
}

export interface DeploymentRequest {
  projectId: string
  cause: DeploymentCause
  commit: {
    sha: string
    message: string | null
    author: string | null
    committedAt: string | null
  }
  /** Its configuration of then is used, not the project's of now. */
  repeatsDeploymentId?: string
  rebuild?: boolean
  attempt?: number
  /** Not before this moment, in milliseconds; for a retry's back-off. */
  notBefore?: number
}

/**
 * Puts a deployment into the project's queue in place of the one that was pending, which becomes `superseded`. Wake
 * the engine after the transaction. Throws `project.not_found` when it was deleted meanwhile.
 */
export async function requestDeployment(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  request: DeploymentRequest,
): Promise<RequestedDeployment> {
  const project = await countDeployment(tx, request.projectId)
  const pending = await readPending(tx, request.projectId)
  const start = planStart({
    now: deps.clock.now(),
    busy: await isBusy(tx, request.projectId),
    lastStartedAt: await readLastStart(tx, request.projectId),
    waitingSince: pending === undefined ? null : Date.parse(pending.debounce_since),
  })
  const id = deps.newId()
  if (pending !== undefined) {
    await enterState(deps, tx, { deployment: pending, from: 'queued', to: 'superseded' })
  }
  await tx
    .insertInto('deployments')
    .values({
      ...NEW_DEPLOYMENT,
      id,
      organization_id: project.organization_id,
      project_id: request.projectId,
      number: project.deployment_count,
      cause: request.cause,
      branch: project.branch,
      commit_sha: request.commit.sha,
      commit_message: request.commit.message,
      commit_author: request.commit.author,
      committed_at: request.commit.committedAt,
      repeats_deployment_id: request.repeatsDeploymentId ?? null,
      rebuild: request.rebuild ?? false,
      attempt: request.attempt ?? 1,
      not_before: toIsoTime(request.notBefore ?? start.notBefore),
      debounce_since: toIsoTime(start.debounceSince),
      created_at: toIsoTime(deps.clock.now()),
    })
    .execute()
  await recordTransition(deps, tx, {
    deployment: { id, organization_id: project.organization_id },
    state: 'queued',
  })
  if (pending !== undefined) await nameSuccessor(tx, pending.id, id)
  return { deploymentId: id, number: project.deployment_count }
}

const NEW_DEPLOYMENT = {
  state: 'queued',
  release_id: null,
  configuration_sealed: null,
  superseded_by_id: null,
  replaced_deployment_id: null,
  cancel_requested_at: null,
  cancel_reason: null,
  cancelled_in_a_row: 0,
  release_command_started_at: null,
  release_command_finished_at: null,
  failure_code: null,
  failure_message: null,
  lease_token: null,
  lease_expires_at: null,
  host_id: null,
  started_at: null,
  ended_at: null,
} as const

/**
 * Keeps every other request, claim and switch of the project behind this transaction. Taken before any row of
 * `deployments`: two transactions that take both in different orders would wait for each other.
 */
export async function lockProject(tx: Tx, projectId: string): Promise<void> {
  await tx
    .updateTable('projects')
    .set((eb) => ({ deployment_count: eb.ref('deployment_count') }))
    .where('id', '=', projectId)
    .execute()
}

/** Counts first: the row lock that this takes keeps every other request of the project behind this one. */
async function countDeployment(tx: Tx, projectId: string) {
  const project = await tx
    .updateTable('projects')
    .set((eb) => ({ deployment_count: eb('deployment_count', '+', 1) }))
    .where('id', '=', projectId)
    .where('deleted_at', 'is', null)
    .returning(['organization_id', 'branch', 'deployment_count'])
    .executeTakeFirst()
  if (project !== undefined) return project
  throw new OperationError('project.not_found', `Cannot find project "${projectId}"`)
}

export async function readPending(tx: Tx, projectId: string) {
  return await tx
    .selectFrom('deployments')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('state', '=', 'queued')
    .executeTakeFirst()
}

async function isBusy(tx: Tx, projectId: string): Promise<boolean> {
  return (await readActive(tx, projectId)) !== undefined
}

export async function readActive(tx: Tx, projectId: string) {
  return await tx
    .selectFrom('deployments')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('state', 'in', [...ACTIVE_STATES])
    .executeTakeFirst()
}

async function readLastStart(tx: Tx, projectId: string): Promise<number | null> {
  const row = await tx
    .selectFrom('deployments')
    .select((eb) => eb.fn.max('started_at').as('started_at'))
    .where('project_id', '=', projectId)
    .executeTakeFirst()
  return row?.started_at ? Date.parse(row.started_at) : null
}

async function nameSuccessor(tx: Tx, id: string, successorId: string): Promise<void> {
  await tx
    .updateTable('deployments')
    .set({ superseded_by_id: successorId })
    .where('id', '=', id)
    .execute()
}
