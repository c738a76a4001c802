import { toIsoTime } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { RunDeps } from './deployment-run.ts'
import { stopInstance, type InstanceRow } from './instances.ts'

/** Empties and stops what does not serve any more. What fails is tried again by the next call. */
export function createRetirement(deps: RunDeps): () => Promise<void> {
  /** Being emptied or stopped at this moment, and emptied already: nothing reaches those any more. */
  const busy = new Set<string>()
  const drained = new Set<string>()

  const retire = async (instance: InstanceRow) => {
    try {
      if (!drained.has(instance.id)) {
        await deps.traffic.drain(instance.id, { timeoutMs: deps.config.drainSeconds * 1000 })
        drained.add(instance.id)
      }
      if (await takeForStop(deps, instance.id)) {
        await stopRetired(deps, instance)
        drained.delete(instance.id)
      }
    } catch (error) {
      const fields = { instanceId: instance.id, reason: messageOf(error) }
      deps.log.warn('An instance is not retired yet', fields)
    } finally {
      busy.delete(instance.id)
    }
  }
  return async () => {
    const draining = await deps.db
      .selectFrom('instances')
      .selectAll()
      .where('host_id', '=', deps.hostId)
      .where('state', '=', 'draining')
      .execute()
    const known = new Set(draining.map((instance) => instance.id))
    // One that got the traffic back must be emptied again the next time.
    for (const id of drained) if (!known.has(id)) drained.delete(id)
    for (const instance of draining) {
      if (busy.has(instance.id)) continue
      busy.add(instance.id)
      void retire(instance)
    }
  }
}

/** Its standby is over: nothing may give it the traffic back from here. */
async function takeForStop(deps: RunDeps, instanceId: string): Promise<boolean> {
  const { numUpdatedRows } = await deps.db
    .updateTable('instances')
    .set({ retire_at: '' })
    .where('id', '=', instanceId)
    .where('state', '=', 'draining')
    .where('retire_at', '<=', toIsoTime(deps.clock.now()))
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

async function stopRetired(deps: RunDeps, instance: InstanceRow): Promise<void> {
  const app = await deps.db
    .selectFrom('projects')
    .select('runtime')
    .where('id', '=', instance.project_id)
    .executeTakeFirstOrThrow()
  await stopInstance(deps, app, instance, { graceMs: deps.config.stopGraceSeconds * 1000 })
  deps.events.emitChange(instance.project_id)
}
