import type { BuildPlan } from '../builds/build-plan.ts'
import type { Database } from '../database/database.ts'
import type { RuntimeKind, Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { chooseFreePort } from '../lib/free-port.ts'
import type { NewId } from '../lib/ids.ts'
import { unitOfInstance, type InstanceRef, type Runtime } from '../runtimes/runtime.ts'
import { instanceLogName } from './log-names.ts'

export type InstanceRow = Schema['instances']
export type ReleaseRow = Schema['releases']

export interface InstanceDeps {
  clock: Clock
  newId: NewId
  db: Database
  hostId: string
  runtimes: ReadonlyMap<RuntimeKind, Runtime>
}

type App = Pick<Schema['projects'], 'id' | 'organization_id' | 'account_slot' | 'runtime'>

interface StartOrder {
  app: App
  deploymentId: string
  release: ReleaseRow
  argv: readonly [string, ...string[]]
  env: Readonly<Record<string, string>>
  /** Starts after a crash, in a row. */
  restarts: number
}

/** Starts a fresh instance of a release on a fresh port. It is not yet healthy, and not yet routed to. */
export async function startInstance(deps: InstanceDeps, order: StartOrder): Promise<InstanceRow> {
  const id = deps.newId()
  const port = await insertInstance(deps, order, id)
  const ref = await runtimeOf(deps, order.app).start({
    id,
    projectId: order.app.id,
    accountSlot: order.app.account_slot,
    releaseId: order.release.id,
    // The release is the plan's output directory itself.
    workingDirectory: '.',
    argv: order.argv,
    env: order.env,
    port,
    log: instanceLogName(id),
  })
  return await deps.db
    .updateTable('instances')
    .set({ pid: ref.pid, start_ticks: ref.startTicks, boot_id: ref.bootId })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The record comes first: a process that we start and do not live to record is found by its instance's id. */
async function insertInstance(deps: InstanceDeps, order: StartOrder, id: string): Promise<number> {
  const taken = await deps.db
    .selectFrom('instances')
    .select('port')
    .where('host_id', '=', deps.hostId)
    .where('state', 'in', ['starting', 'running', 'draining'])
    .execute()
  const ports = new Set(taken.map((row) => row.port))
  const port = await chooseFreePort({ isTaken: (candidate) => ports.has(candidate) })
  await deps.db
    .insertInto('instances')
    .values({
      id,
      organization_id: order.app.organization_id,
      project_id: order.app.id,
      deployment_id: order.deploymentId,
      release_id: order.release.id,
      host_id: deps.hostId,
      state: 'starting',
      port,
      restarts: order.restarts,
      created_at: toIsoTime(deps.clock.now()),
    })
    .execute()
  return port
}

/** Ends an instance, whatever is left of it, and records that. One that is gone already is fine. */
export async function stopInstance(
  deps: InstanceDeps,
  app: Pick<App, 'runtime'>,
  instance: InstanceRow,
  options: { graceMs: number },
): Promise<void> {
  await runtimeOf(deps, app).stop(refOf(instance), options)
  await deps.db
    .updateTable('instances')
    .set({
      state: 'stopped',
      stopped_at: toIsoTime(deps.clock.now()),
      next_restart_at: null,
      retire_at: null,
    })
    .where('id', '=', instance.id)
    .where('state', 'in', ['starting', 'running', 'draining'])
    .execute()
}

/** Names the instance's processes. When its start was not recorded, only its unit is known. */
export function refOf(instance: InstanceRow): InstanceRef {
  const unit = unitOfInstance(instance.id)
  const { pid, start_ticks: startTicks, boot_id: bootId } = instance
  if (pid === null || startTicks === null || bootId === null) return unknownProcessOf(unit)
  return { unit, pid, startTicks, bootId }
}

/** A process of no boot, so that it is nobody's; `stop` still ends all of its unit. */
export function unknownProcessOf(unit: string): InstanceRef {
  return { unit, pid: 2 ** 31 - 1, startTicks: '0', bootId: '00000000-0000-0000-0000-000000000000' }
}

export function runtimeOf(
  deps: Pick<InstanceDeps, 'runtimes'>,
  app: Pick<App, 'runtime'>,
): Runtime {
  const runtime = deps.runtimes.get(app.runtime)
  if (runtime !== undefined) return runtime
  throw new OperationError(
    'runtime.unavailable',
    `Cannot run apps with the runtime "${app.runtime}": it is not set up on this host`,
  )
}

export function planOf(release: ReleaseRow): BuildPlan {
  return release.plan as BuildPlan
}
