import type { Database } from '../database/database.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import type { InstanceLogPlaces } from './instance-logs.ts'
import { removeOrphanedLogs, rotateInstanceLogs } from './rotate-instance-logs.ts'

/** The sweep that rotates what apps print, and removes what was rotated of instances that are no more. */
export function logRotationJob(deps: {
  db: Database
  hostId: string
  logPlaces: InstanceLogPlaces
}): RecurringJob {
  return {
    name: 'rotate-logs',
    everySeconds: 30,
    leaseSeconds: 300,
    run: async () => {
      const rows = await deps.db
        .selectFrom('instances')
        .select('id')
        .where('host_id', '=', deps.hostId)
        .execute()
      const ids = rows.map((row) => row.id)
      await rotateInstanceLogs(deps.logPlaces, ids)
      const known = new Set(ids)
      await removeOrphanedLogs(deps.logPlaces, (id) => known.has(id))
    },
  }
}
