import { toIsoTime } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { RunDeps } from './deployment-run.ts'
import { ACTIVE_STATES } from './deployment-state.ts'
import { planOf, refOf, runtimeOf, type InstanceRow } from './instances.ts'

/** Missing apps start within this time of a boot, each at its own moment. */
const SPREAD_MS = 10_000

/**
 * What the records say runs here, against what does: the living are kept, the dead and the half-started of live
 * deployments are due for a restart. Called at boot, before anything is watched.
 */
export async function adoptInstances(deps: RunDeps): Promise<void> {
  const rows = await deps.db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.id', 'instances.project_id')
    .innerJoin('deployments', 'deployments.id', 'instances.deployment_id')
    .selectAll('instances')
    .select(['projects.runtime', 'deployments.state as deployment_state'])
    .where('instances.host_id', '=', deps.hostId)
    .where('instances.state', 'in', ['starting', 'running'])
    .execute()
  for (const { runtime, deployment_state, ...instance } of rows) {
    // Those belong to a deployment that is resumed or ended by its own recovery.
    if (instance.state === 'starting' && ACTIVE.has(deployment_state)) continue
    try {
      await adopt(deps, { runtime }, instance)
    } catch (error) {
      const fields = { instanceId: instance.id, reason: messageOf(error) }
      deps.log.warn('An instance was not adopted', fields)
    }
  }
  await scheduleMissing(deps)
}

const ACTIVE: ReadonlySet<string> = new Set(ACTIVE_STATES)

async function adopt(
  deps: RunDeps,
  app: Parameters<typeof runtimeOf>[1],
  instance: InstanceRow,
): Promise<void> {
  const runtime = runtimeOf(deps, app)
  if (instance.state === 'running' && (await runtime.isAlive(refOf(instance)))) return
  // Whatever its leader left behind must not keep the port or the app's files.
  await runtime.stop(refOf(instance), { graceMs: 0 })
  const now = deps.clock.now()
  await deps.db
    .updateTable('instances')
    .set({
      state: 'crashed',
      next_restart_at: toIsoTime(now + spreadOf(instance.project_id)),
      stopped_at: toIsoTime(now),
    })
    .where('id', '=', instance.id)
    .where('state', '=', instance.state)
    .execute()
}

/** Live deployments whose restart was under way when we ended, or that have no instance for whatever reason. */
async function scheduleMissing(deps: RunDeps): Promise<void> {
  const live = await deps.db
    .selectFrom('projects')
    .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .innerJoin('releases', 'releases.id', 'deployments.release_id')
    .selectAll('releases')
    .select('deployments.id as deployment_id')
    .where('projects.deleted_at', 'is', null)
    .where('deployments.host_id', '=', deps.hostId)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('instances')
            .select('instances.id')
            .whereRef('instances.deployment_id', '=', 'deployments.id')
            .where((of) =>
              of.or([
                of('instances.state', 'in', ['starting', 'running']),
                of('instances.next_restart_at', 'is not', null),
              ]),
            ),
        ),
      ),
    )
    .execute()
  const now = deps.clock.now()
  for (const { deployment_id, ...release } of live) {
    if (planOf(release).start === null) continue
    await deps.db
      .insertInto('instances')
      .values({
        id: deps.newId(),
        organization_id: release.organization_id,
        project_id: release.project_id,
        deployment_id,
        release_id: release.id,
        host_id: deps.hostId,
        state: 'crashed',
        restarts: 0,
        next_restart_at: toIsoTime(now + spreadOf(release.project_id)),
        created_at: toIsoTime(now),
      })
      .execute()
  }
}

/** The same project has the same moment: the last digits of its id are random. */
function spreadOf(projectId: string): number {
  return (Number.parseInt(projectId.slice(-4), 16) || 0) % SPREAD_MS
}
