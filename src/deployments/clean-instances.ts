import type { Database } from '../database/database.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Spawner } from '../spawner/spawner.ts'
import type { InstanceLogPlaces } from './instance-logs.ts'
import { instanceLogName } from './log-names.ts'
import { removeRotatedLogs } from './rotate-instance-logs.ts'

/** Ended instances of each project whose output is kept, to read why they ended. */
const KEPT = 20

interface CleanDeps {
  db: Database
  log: Logger
  hostId: string
  spawner: Pick<Spawner, 'removeLog'>
  logPlaces: InstanceLogPlaces
}

/**
 * Removes the records and the output of instances that ended long ago: an app that crashes each minute would fill the
 * disk with a file per start.
 */
export async function cleanInstances(deps: CleanDeps, signal: AbortSignal): Promise<void> {
  const ended = await deps.db
    .selectFrom('instances')
    .select(['id', 'project_id'])
    .where('host_id', '=', deps.hostId)
    .where('state', 'in', ['stopped', 'crashed', 'crash_loop'])
    .where('next_restart_at', 'is', null)
    .orderBy('id', 'desc')
    .execute()
  for (const own of Map.groupBy(ended, (instance) => instance.project_id).values()) {
    for (const { id } of own.slice(KEPT)) {
      signal.throwIfAborted()
      await removeInstance(deps, id).catch((error: unknown) => {
        deps.log.warn('An ended instance was not removed', {
          instanceId: id,
          reason: messageOf(error),
        })
      })
    }
  }
}

/** The record last: interrupted before that, it is done again. */
async function removeInstance(deps: CleanDeps, id: string): Promise<void> {
  await deps.spawner.removeLog(instanceLogName(id))
  await removeRotatedLogs(deps.logPlaces, id)
  await deps.db.deleteFrom('instances').where('id', '=', id).execute()
}
