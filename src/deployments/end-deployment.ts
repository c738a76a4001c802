import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, messageOf } from '../lib/errors.ts'
import { entering, type Run, type RunDeps } from './deployment-run.ts'
import { enterState, type DeploymentRow } from './enter-state.ts'
import { planRetry, startsOnly } from './queue-decisions.ts'
import { lockProject, readPending, requestDeployment } from './request-deployment.ts'
import { stopStarted } from './run-deployment.ts'

/** What went wrong is ours (the host, the network, the disk) and not the app's: the same head is tried again. */
const OUR_TROUBLE = new Set([
  'source.unreachable',
  'source.mirror_unusable',
  'source.damaged',
  'source.no_space',
  'source.git_killed',
  'spawner.lost',
  'spawner.closed',
  'spawner.unavailable',
  'spawner.account_not_ended',
  'command.timed_out',
  'build.workspace',
  'deployment.release_gone',
])

/**
 * Ends a deployment whose story threw: what it started is stopped, the old version serves on, and the reason is kept.
 * What the database says decides; one that is another worker's by now is left alone.
 */
export async function endDeployment(
  deps: RunDeps,
  run: Pick<Run, 'deployment' | 'project' | 'log'>,
  error: unknown,
): Promise<void> {
  const deployment = await readHeld(deps, run.deployment)
  if (deployment === null) return
  // The traffic is its own already, whatever failed after that: recovery completes it when the lease has expired.
  if (deployment.state === 'switching') return
  run.deployment = deployment
  await stopStarted(deps, run)
  if (deployment.state === 'cancelling') await finishCancelling(deps, run)
  else if (deployment.cancel_requested_at !== null) await cancelAfterRelease(deps, run)
  else if (isOurTrouble(error)) await interruptDeployment(deps, run, messageOf(error))
  else await failDeployment(deps, run, error)
}

async function readHeld(deps: RunDeps, held: DeploymentRow): Promise<DeploymentRow | null> {
  const row = await deps.db
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', held.id)
    .where('lease_token', '=', held.lease_token)
    .executeTakeFirst()
  return row ?? null
}

/** A failure may stand behind another one's sentence: an app that did not start because the spawner was away. */
function isOurTrouble(error: unknown): boolean {
  if (!isOperationError(error)) return true
  if (OUR_TROUBLE.has(error.code)) return true
  return isOperationError(error.cause) && isOurTrouble(error.cause)
}

async function failDeployment(
  deps: RunDeps,
  run: Pick<Run, 'deployment' | 'log'>,
  error: unknown,
): Promise<void> {
  const failure_message = messageOf(error)
  const failure_code = isOperationError(error) ? error.code : 'deployment.failed'
  run.log.note(`Failed: ${failure_message}`)
  await run.log.flush()
  await endAs(deps, run, 'failed', { failure_code, failure_message })
}

/** Ends an attempt that the app is not to blame for, and asks for the next one when nothing was migrated yet. */
export async function interruptDeployment(
  deps: RunDeps,
  run: Pick<Run, 'deployment' | 'log'>,
  reason: string,
): Promise<void> {
  const { deployment } = run
  const migrated = deployment.release_command_started_at !== null
  const failure_message = migrated
    ? `${reason}. The release command may have run, so it is not tried again by itself`
    : reason
  run.log.note(`Interrupted: ${failure_message}`)
  await run.log.flush()
  const ended = await endAs(
    deps,
    run,
    'interrupted',
    { failure_code: 'deployment.interrupted', failure_message },
    migrated ? null : planRetry(deployment.attempt, deps.clock.now()),
  )
  if (ended) deps.log.warn('A deployment was interrupted', { deploymentId: deployment.id, reason })
}

async function endAs(
  deps: RunDeps,
  run: Pick<Run, 'deployment'>,
  to: 'failed' | 'interrupted',
  failure: { failure_code: string; failure_message: string },
  retry: { attempt: number; notBefore: number } | null = null,
): Promise<boolean> {
  const { deployment } = run
  const set = { ...failure, failure_message: deps.redactor.redact(failure.failure_message) }
  const ended = await inTransaction(deps.db, async (tx) => {
    if (retry !== null) await lockProject(tx, deployment.project_id)
    if (!(await enterState(deps, tx, { deployment, from: deployment.state, to, set }))) return false
    if (retry === null) return true
    if (await isDeleted(tx, deployment.project_id)) return true
    const pending = await readPending(tx, deployment.project_id)
    // Whatever else is pending came later and replaces it; a restart alone would lose this head.
    if (pending !== undefined && pending.cause !== 'configuration') return true
    await requestDeployment(deps, tx, { ...retryOf(deployment), ...retry })
    return true
  })
  if (ended) entering(deps, run, to)
  return ended
}

async function isDeleted(tx: Tx, projectId: string): Promise<boolean> {
  const project = await tx
    .selectFrom('projects')
    .select('id')
    .where('id', '=', projectId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return project === undefined
}

function retryOf(deployment: DeploymentRow) {
  return {
    projectId: deployment.project_id,
    // A rollback stays one: its release command does not run on the way back.
    cause: startsOnly(deployment.cause) ? deployment.cause : ('retry' as const),
    commit: {
      sha: deployment.commit_sha,
      message: deployment.commit_message,
      author: deployment.commit_author,
      committedAt: deployment.committed_at,
    },
    rebuild: deployment.rebuild,
    ...(deployment.repeats_deployment_id === null
      ? {}
      : { repeatsDeploymentId: deployment.repeats_deployment_id }),
  }
}

/** The last step of a cancelled deployment: nothing of it runs any more, so the project is free. */
export async function finishCancelling(
  deps: RunDeps,
  run: Pick<Run, 'deployment' | 'log'>,
): Promise<void> {
  const { deployment } = run
  const to = deployment.cancel_reason === 'superseded' ? 'superseded' : 'cancelled'
  run.log.note(to === 'superseded' ? 'Superseded by a newer commit' : 'Cancelled')
  await run.log.flush()
  const ended = await inTransaction(deps.db, (tx) =>
    enterState(deps, tx, { deployment, from: 'cancelling', to }),
  )
  if (ended) entering(deps, run, to)
}

/** A cancel that came during the release command takes effect when that is over. */
async function cancelAfterRelease(
  deps: RunDeps,
  run: Pick<Run, 'deployment' | 'log'>,
): Promise<void> {
  const { deployment } = run
  if (deployment.state !== 'starting') {
    await run.log.flush()
    await endAs(deps, run, 'failed', {
      failure_code: 'deployment.cancelled_in_release',
      failure_message: `Cancelled at ${deployment.cancel_requested_at ?? toIsoTime(deps.clock.now())} while its release command ran`,
    })
    return
  }
  const entered = await inTransaction(deps.db, (tx) =>
    enterState(deps, tx, { deployment, from: 'starting', to: 'cancelling' }),
  )
  if (!entered) return
  run.deployment = { ...deployment, state: 'cancelling' }
  await finishCancelling(deps, run)
}
