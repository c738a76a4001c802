import { inTransaction } from '../database/in-transaction.ts'
import type { RuntimeKind } from '../database/schema.ts'
import { toIsoTime } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { environmentOf, readSnapshot } from './configuration-snapshot.ts'
import type { RunDeps } from './deployment-run.ts'
import {
  planOf,
  refOf,
  runtimeOf,
  startInstance,
  stopInstance,
  type InstanceRow,
} from './instances.ts'
import { handleExit } from './supervise-instances.ts'
import { waitUntilHealthy } from './wait-until-healthy.ts'

/** At once at most: a host that boots must not start all its apps in the same second. */
const CONCURRENT_RESTARTS = 4

/** Starts again what crashed and is due, of live deployments alone. `onStarted` is called for each that serves. */
export async function restartDueInstances(
  deps: RunDeps,
  onStarted: () => void,
  signal: AbortSignal,
): Promise<void> {
  const due = await deps.db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.live_deployment_id', 'instances.deployment_id')
    .selectAll('instances')
    .where('instances.host_id', '=', deps.hostId)
    .where('instances.state', 'in', ['crashed', 'crash_loop'])
    .where('instances.next_restart_at', '<=', toIsoTime(deps.clock.now()))
    .where('projects.deleted_at', 'is', null)
    .orderBy('instances.next_restart_at')
    .limit(100)
    .execute()
  const next = due.values()
  const worker = async () => {
    for (const crashed of next) {
      if (signal.aborted) return
      try {
        if (await restart(deps, crashed, signal)) onStarted()
      } catch (error) {
        const fields = { instanceId: crashed.id, reason: messageOf(error) }
        deps.log.warn('An instance was not started again', fields)
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT_RESTARTS }, worker))
}

async function restart(deps: RunDeps, crashed: InstanceRow, signal: AbortSignal): Promise<boolean> {
  if (!(await takeRestart(deps, crashed))) return false
  const project = await deps.db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', crashed.project_id)
    .executeTakeFirstOrThrow()
  const release = await deps.db
    .selectFrom('releases')
    .selectAll()
    .where('id', '=', crashed.release_id)
    .executeTakeFirstOrThrow()
  const plan = planOf(release)
  const configuration = await readSnapshot(deps, crashed.deployment_id)
  if (plan.start === null || configuration === null) return false
  for (const { value } of configuration.variables) deps.redactor.add(value)
  const instance = await startInstance(deps, {
    app: project,
    deploymentId: crashed.deployment_id,
    release,
    argv: plan.start,
    env: environmentOf(configuration, 'run'),
    restarts: crashed.restarts,
  })
  const health = await waitUntilHealthy(
    { clock: deps.clock, runtime: runtimeOf(deps, project) },
    {
      ref: refOf(instance),
      accountSlot: project.account_slot,
      port: instance.port ?? 0,
      path: plan.healthPath,
      hostname: `${project.host_label}.${deps.config.baseDomain}`,
      timeoutMs: deps.config.healthTimeoutSeconds * 1000,
    },
    signal,
  )
  if (health.kind === 'healthy') return await serveAgain(deps, project, instance)
  if (health.kind === 'timed_out') {
    await runtimeOf(deps, project).stop(refOf(instance), { graceMs: 0 })
  }
  const exit = health.kind === 'exited' ? health.exit : { exitCode: null, exitSignal: 'SIGKILL' }
  await handleExit(deps, instance, exit)
  return false
}

/** Whoever clears the time has the restart; one that ends half-way is found at boot, by its `starting` instance. */
async function takeRestart(deps: RunDeps, crashed: InstanceRow): Promise<boolean> {
  const { numUpdatedRows } = await deps.db
    .updateTable('instances')
    .set({ next_restart_at: null })
    .where('id', '=', crashed.id)
    .where('next_restart_at', '=', crashed.next_restart_at)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Unless another version took the traffic while it started. */
async function serveAgain(
  deps: RunDeps,
  project: { id: string; runtime: RuntimeKind },
  instance: InstanceRow,
): Promise<boolean> {
  const serves = await inTransaction(deps.db, async (tx) => {
    const live = await tx
      .selectFrom('projects')
      .select('live_deployment_id')
      .where('id', '=', project.id)
      .executeTakeFirst()
    if (live?.live_deployment_id !== instance.deployment_id) return false
    const { numUpdatedRows } = await tx
      .updateTable('instances')
      .set({ state: 'running', ready_at: toIsoTime(deps.clock.now()) })
      .where('id', '=', instance.id)
      .where('state', '=', 'starting')
      .executeTakeFirst()
    return numUpdatedRows > 0n
  })
  if (!serves) {
    await stopInstance(deps, project, instance, { graceMs: deps.config.stopGraceSeconds * 1000 })
    return false
  }
  await deps.publishRoutes()
  deps.events.emitChange(project.id)
  return true
}
