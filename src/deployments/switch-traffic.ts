import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { messageOf, OperationError } from '../lib/errors.ts'
import { enter, entering, lost, type Run, type RunDeps } from './deployment-run.ts'
import { enterState } from './enter-state.ts'
import type { InstanceRow } from './instances.ts'
import { lockProject } from './request-deployment.ts'

const PUBLISH_RETRY_MS = 500

/**
 * The switch: one transaction makes the deployment the live one, then the traffic process is told. What served before
 * drains and stands by.
 */
export async function switchTraffic(
  deps: RunDeps,
  run: Run,
  instance: InstanceRow | null,
): Promise<void> {
  await inTransaction(deps.db, (tx) => storeSwitch(deps, tx, run, instance))
  entering(deps, run, 'switching')
  await completeSwitch(deps, run)
}

/** From here there is no way back: the records lead to the new version, and the traffic process follows them. */
export async function completeSwitch(
  deps: RunDeps,
  run: Pick<Run, 'deployment' | 'log' | 'signal'>,
): Promise<void> {
  for (;;) {
    try {
      await deps.publishRoutes()
      break
    } catch (error) {
      deps.log.warn('Routes were not published', {
        deploymentId: run.deployment.id,
        reason: messageOf(error),
      })
      await deps.clock.sleep(PUBLISH_RETRY_MS, run.signal)
    }
  }
  run.log.note(`Deployment #${run.deployment.number} has the traffic`)
  await run.log.flush()
  await enter(deps, run, 'live')
}

async function storeSwitch(
  deps: RunDeps,
  tx: Tx,
  { deployment, project }: Run,
  instance: InstanceRow | null,
): Promise<void> {
  await lockProject(tx, project.id)
  const { live_deployment_id: before } = await tx
    .selectFrom('projects')
    .select('live_deployment_id')
    .where('id', '=', project.id)
    .executeTakeFirstOrThrow()
  const to = 'switching'
  const set = { replaced_deployment_id: before }
  if (!(await enterState(deps, tx, { deployment, from: 'checking', to, set }))) {
    throw lost(deployment, to)
  }
  await makeLive(tx, project.id, { from: before, to: deployment.id })
  if (instance !== null) {
    await tx
      .updateTable('instances')
      .set({ state: 'running', ready_at: toIsoTime(deps.clock.now()) })
      .where('id', '=', instance.id)
      .where('state', '=', 'starting')
      .execute()
  }
  await standDown(deps, tx, project.id, { now: deployment.id, before })
}

/** The compare-and-set that the route table is derived from. */
export async function makeLive(
  tx: Tx,
  projectId: string,
  move: { from: string | null; to: string },
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('projects')
    .set({ live_deployment_id: move.to })
    .where('id', '=', projectId)
    .where('deleted_at', 'is', null)
    .where('live_deployment_id', move.from === null ? 'is' : '=', move.from)
    .executeTakeFirst()
  if (numUpdatedRows > 0n) return
  throw new OperationError(
    'deployment.switched_elsewhere',
    'Cannot switch the traffic: another version took it, or the project was deleted',
  )
}

/** What was live stands by for a while; what stood by for it is not needed any more. */
async function standDown(
  deps: RunDeps,
  tx: Tx,
  projectId: string,
  live: { now: string; before: string | null },
): Promise<void> {
  const now = deps.clock.now()
  await tx
    .updateTable('instances')
    .set({ retire_at: toIsoTime(now) })
    .where('project_id', '=', projectId)
    .where('state', '=', 'draining')
    .execute()
  await tx
    .updateTable('instances')
    .set({ state: 'draining', retire_at: toIsoTime(now + deps.config.standbySeconds * 1000) })
    .where('project_id', '=', projectId)
    .where('deployment_id', '!=', live.now)
    .where('state', 'in', ['running', 'starting'])
    .execute()
  await tx
    .updateTable('instances')
    .set({ next_restart_at: null })
    .where('project_id', '=', projectId)
    .where('deployment_id', '!=', live.now)
    .where('next_restart_at', 'is not', null)
    .execute()
}
