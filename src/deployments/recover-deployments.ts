import type { DeploymentState, Schema } from '../database/schema.ts'
import { toIsoTime } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { unitOfReleaseCommand } from '../runtimes/runtime.ts'
import { LEASE_MS } from './deployment-lease.ts'
import { openDeploymentLog } from './deployment-log.ts'
import type { RunDeps } from './deployment-run.ts'
import { ACTIVE_STATES } from './deployment-state.ts'
import { finishCancelling, interruptDeployment } from './end-deployment.ts'
import type { DeploymentRow } from './enter-state.ts'
import { runtimeOf, unknownProcessOf } from './instances.ts'
import { releaseLogName } from './log-names.ts'
import { stopStarted } from './run-deployment.ts'

export type RecoveryStep = 'interrupt' | 'resume' | 'complete' | 'finish_cancelling'

/** What becomes of a deployment whose worker ended in this state. */
export function planRecovery(facts: {
  state: DeploymentState
  releaseCommandFinished: boolean
}): RecoveryStep | null {
  if (facts.state === 'releasing') {
    // Whether it did its work is not known, unless its end was recorded.
    return facts.releaseCommandFinished ? 'resume' : 'interrupt'
  }
  return STEPS[facts.state]
}

const STEPS: Record<Exclude<DeploymentState, 'releasing'>, RecoveryStep | null> = {
  queued: null,
  fetching: 'interrupt',
  building: 'interrupt',
  starting: 'resume',
  checking: 'resume',
  switching: 'complete',
  cancelling: 'finish_cancelling',
  live: null,
  failed: null,
  superseded: null,
  cancelled: null,
  interrupted: null,
}

/**
 * Takes over the deployments of this host whose worker is gone: all of them at boot, later those whose lease expired.
 * Ends those that cannot go on, and returns those that can, for the engine to run.
 */
export async function recoverDeployments(
  deps: RunDeps,
  options: { boot: boolean; isOurs: (deploymentId: string) => boolean },
): Promise<{ deployment: DeploymentRow; step: 'resume' | 'complete' }[]> {
  const toRun: { deployment: DeploymentRow; step: 'resume' | 'complete' }[] = []
  for (const found of await readAbandoned(deps, options)) {
    try {
      const recovered = await recoverDeployment(deps, found)
      if (recovered !== null) toRun.push(recovered)
    } catch (error) {
      // It is tried again when the lease that we took has expired; the others do not wait for it.
      const fields = { deploymentId: found.id, reason: messageOf(error) }
      deps.log.error('A deployment is not recovered yet', fields)
    }
  }
  return toRun
}

async function recoverDeployment(
  deps: RunDeps,
  found: DeploymentRow,
): Promise<{ deployment: DeploymentRow; step: 'resume' | 'complete' } | null> {
  const deployment = await takeOver(deps, found)
  if (deployment === null) return null
  const step = planRecovery({
    state: deployment.state,
    releaseCommandFinished: deployment.release_command_finished_at !== null,
  })
  deps.log.info('A deployment is recovered', { deploymentId: deployment.id, step })
  if (step === 'resume' || step === 'complete') return { deployment, step }
  await endAbandoned(deps, deployment)
  return null
}

async function readAbandoned(
  deps: RunDeps,
  options: { boot: boolean; isOurs: (deploymentId: string) => boolean },
): Promise<DeploymentRow[]> {
  const now = toIsoTime(deps.clock.now())
  const rows = await deps.db
    .selectFrom('deployments')
    .selectAll()
    .where('host_id', '=', deps.hostId)
    .where('state', 'in', [...ACTIVE_STATES])
    .execute()
  return rows.filter(
    (row) => !options.isOurs(row.id) && (options.boot || (row.lease_expires_at ?? '') < now),
  )
}

async function takeOver(deps: RunDeps, found: DeploymentRow): Promise<DeploymentRow | null> {
  const row = await deps.db
    .updateTable('deployments')
    .set({
      lease_token: deps.newId(),
      lease_expires_at: toIsoTime(deps.clock.now() + LEASE_MS),
    })
    .where('id', '=', found.id)
    .where('state', '=', found.state)
    .where('lease_token', found.lease_token === null ? 'is' : '=', found.lease_token)
    .returningAll()
    .executeTakeFirst()
  return row ?? null
}

async function endAbandoned(deps: RunDeps, deployment: DeploymentRow): Promise<void> {
  const project = await readProject(deps, deployment)
  await using log = await openDeploymentLog(deps, deployment)
  const run = { deployment, project, log }
  await deps.spawner.remove({ area: 'builds', id: deployment.id })
  await stopStarted(deps, run)
  if (deployment.state === 'releasing') await stopReleaseCommand(deps, run)
  if (deployment.state === 'cancelling') await finishCancelling(deps, run)
  else await interruptDeployment(deps, run, `The platform ended while it was ${deployment.state}`)
}

/** It outlived its worker, who alone would have known how it ended. */
async function stopReleaseCommand(
  deps: RunDeps,
  run: { deployment: DeploymentRow; project: Schema['projects'] },
): Promise<void> {
  const unit = unitOfReleaseCommand(run.deployment.id)
  const options = { graceMs: deps.config.stopGraceSeconds * 1000 }
  await runtimeOf(deps, run.project).stop(unknownProcessOf(unit), options)
  await deps.spawner.removeLog(releaseLogName(run.deployment.id))
}

async function readProject(deps: RunDeps, deployment: DeploymentRow): Promise<Schema['projects']> {
  return await deps.db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', deployment.project_id)
    .executeTakeFirstOrThrow()
}
