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
import { stopStarted } from './run-deployment.ts'
import { handleExit } from './supervise-instances.ts'
import { waitUntilHealthy } from './wait-until-healthy.ts'

/** Start at once at most: a host that boots must not start all its apps in the same second. */
const STARTING_AT_ONCE = 4
/** After this one only waits for its health check, and no other app waits for it. */
const STARTING_MS = 5000
const UNDER_WAY_AT_ONCE = 100
/** What failed was ours (the spawner, the database), so the app's own back-off does not count. */
const TRY_AGAIN_MS = 5000

export interface Restarts {
  /** Begins to start again what crashed and is due, of live deployments alone, as far as there is room. */
  startDue(signal: AbortSignal): Promise<void>
  /** Resolves when no restart is under way. */
  settled(): Promise<void>
}

/** `onStarted` is called for each instance that serves again. */
export function createRestarts(deps: RunDeps, onStarted: () => void): Restarts {
  const underWay = new Map<string, { since: number; ended: Promise<void> }>()
  const perform = async (crashed: InstanceRow, signal: AbortSignal) => {
    try {
      if (await restart(deps, crashed, signal)) onStarted()
    } catch (error) {
      // What is half started then is found at the next boot.
      if (signal.aborted) return
      const fields = { instanceId: crashed.id, reason: messageOf(error) }
      deps.log.warn('An instance was not started again', fields)
      await tryAgainLater(deps, crashed)
    } finally {
      underWay.delete(crashed.id)
    }
  }
  return {
    startDue: async (signal) => {
      const now = deps.clock.now()
      const starting = [...underWay.values()].filter(({ since }) => now - since < STARTING_MS)
      const room = Math.min(STARTING_AT_ONCE - starting.length, UNDER_WAY_AT_ONCE - underWay.size)
      if (room <= 0) return
      const due = await readDue(deps, room + STARTING_AT_ONCE)
      for (const crashed of due.filter(({ id }) => !underWay.has(id)).slice(0, room)) {
        underWay.set(crashed.id, { since: now, ended: perform(crashed, signal) })
      }
    },
    settled: async () => {
      await Promise.all([...underWay.values()].map(({ ended }) => ended))
    },
  }
}

async function readDue(deps: RunDeps, limit: number): Promise<InstanceRow[]> {
  return await deps.db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.live_deployment_id', 'instances.deployment_id')
    .selectAll('instances')
    .where('instances.host_id', '=', deps.hostId)
    .where('instances.state', 'in', ['crashed', 'crash_loop'])
    .where('instances.next_restart_at', '<=', toIsoTime(deps.clock.now()))
    .where('projects.deleted_at', 'is', null)
    .orderBy('instances.next_restart_at')
    .limit(limit)
    .execute()
}

/** Unless what failed came after the app served again. A restart that is not recorded would never come. */
async function tryAgainLater(deps: RunDeps, crashed: InstanceRow): Promise<void> {
  try {
    await deps.db
      .updateTable('instances')
      .set({ next_restart_at: toIsoTime(deps.clock.now() + TRY_AGAIN_MS) })
      .where('id', '=', crashed.id)
      .where('state', 'in', ['crashed', 'crash_loop'])
      .where('next_restart_at', 'is', null)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('instances as other')
              .select('other.id')
              .whereRef('other.deployment_id', '=', 'instances.deployment_id')
              .where((of) =>
                of.or([
                  of('other.state', '=', 'running'),
                  of('other.next_restart_at', 'is not', null),
                ]),
              ),
          ),
        ),
      )
      .execute()
  } catch (error) {
    const fields = { instanceId: crashed.id, reason: messageOf(error) }
    deps.log.error('A restart is lost until the next boot', fields)
  }
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
  // A restart before this one that broke off may have left a half-started instance.
  await stopStarted(deps, { deployment: { id: crashed.deployment_id }, project })
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
