import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { ExitFacts } from '../spawner/spawner.ts'
import type { RunDeps } from './deployment-run.ts'
import { enterState, type DeploymentRow } from './enter-state.ts'
import { planOf, refOf, runtimeOf, type InstanceRow } from './instances.ts'
import { lockProject } from './request-deployment.ts'
import { makeLive } from './switch-traffic.ts'

/**
 * When the live version crashes while its predecessor still stands by, the predecessor gets the traffic back and the
 * deployment is `failed`. True when that happened. The caller publishes the routes.
 */
export async function giveTrafficBack(
  deps: RunDeps,
  crashed: InstanceRow,
  end: { exit: ExitFacts; lines: string },
): Promise<boolean> {
  const deployment = await readRecentlyLive(deps, crashed)
  if (deployment === undefined || deployment.replaced_deployment_id === null) return false
  const predecessor = await readStandby(deps, deployment.replaced_deployment_id)
  if (predecessor === null) return false
  const how = end.exit.exitCode === null ? (end.exit.exitSignal ?? 'unknown') : end.exit.exitCode
  const last = end.lines === '' ? '' : `. Its last lines:\n${end.lines}`
  const failure_message = deps.redactor.redact(
    `The app crashed right after it took the traffic (exit ${how}), so the version before has it again${last}`,
  )
  const given = await inTransaction(deps.db, async (tx) => {
    await lockProject(tx, deployment.project_id)
    const set = { failure_code: 'deployment.crashed_after_switch', failure_message }
    if (!(await enterState(deps, tx, { deployment, from: 'live', to: 'failed', set }))) return false
    await makeLive(tx, deployment.project_id, { from: deployment.id, to: predecessor.deploymentId })
    await reviveStandby(tx, predecessor.instanceId)
    await forgetRestart(tx, crashed.id)
    return true
  })
  if (given)
    deps.log.warn('The version before has the traffic again', { deploymentId: deployment.id })
  return given
}

async function readRecentlyLive(
  deps: RunDeps,
  crashed: InstanceRow,
): Promise<DeploymentRow | undefined> {
  const row = await deps.db
    .selectFrom('projects')
    .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .selectAll('deployments')
    .where('deployments.id', '=', crashed.deployment_id)
    .where('deployments.state', '=', 'live')
    .executeTakeFirst()
  if (!row?.ended_at) return undefined
  const liveMs = deps.clock.now() - Date.parse(row.ended_at)
  return liveMs <= deps.config.standbySeconds * 1000 ? row : undefined
}

/** A static version always stands by; another one as long as its instance lives. */
async function readStandby(
  deps: RunDeps,
  deploymentId: string,
): Promise<{ deploymentId: string; instanceId: string | null } | null> {
  const release = await deps.db
    .selectFrom('deployments')
    .innerJoin('releases', 'releases.id', 'deployments.release_id')
    .selectAll('releases')
    .where('deployments.id', '=', deploymentId)
    .executeTakeFirst()
  if (release === undefined || release.state !== 'ready') return null
  if (planOf(release).start === null) return { deploymentId, instanceId: null }
  const instance = await deps.db
    .selectFrom('instances')
    .selectAll()
    .where('deployment_id', '=', deploymentId)
    .where('host_id', '=', deps.hostId)
    .where('state', '=', 'draining')
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (instance === undefined) return null
  const project = await deps.db
    .selectFrom('projects')
    .select('runtime')
    .where('id', '=', instance.project_id)
    .executeTakeFirstOrThrow()
  const alive = await runtimeOf(deps, project).isAlive(refOf(instance))
  return alive ? { deploymentId, instanceId: instance.id } : null
}

/** Fails the transaction when the standby is being stopped at this moment. */
async function reviveStandby(tx: Tx, instanceId: string | null): Promise<void> {
  if (instanceId === null) return
  await tx
    .updateTable('instances')
    .set({ state: 'running', retire_at: null })
    .where('id', '=', instanceId)
    .where('state', '=', 'draining')
    // Empty: its standby is over and it is being stopped.
    .where('retire_at', '!=', '')
    .returning('id')
    .executeTakeFirstOrThrow()
}

async function forgetRestart(tx: Tx, instanceId: string): Promise<void> {
  await tx
    .updateTable('instances')
    .set({ next_restart_at: null })
    .where('id', '=', instanceId)
    .execute()
}
