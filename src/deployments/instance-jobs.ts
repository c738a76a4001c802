import type { Database } from '../database/database.ts'
import type { InstanceState } from '../database/schema.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import type { Logger } from '../lib/logger.ts'
import type { Spawner } from '../spawner/spawner.ts'
import { cleanInstances } from './clean-instances.ts'
import type { InstanceLogPlaces } from './instance-logs.ts'
import { removeOrphanedLogs, rotateInstanceLogs } from './rotate-instance-logs.ts'

interface JobDeps {
  db: Database
  log: Logger
  hostId: string
  spawner: Pick<Spawner, 'removeLog'>
  logPlaces: InstanceLogPlaces
}

/** The sweeps that keep what instances leave behind small: their output, and the records of those that ended. */
export function instanceJobs(deps: JobDeps): RecurringJob[] {
  return [
    { name: 'rotate-logs', everySeconds: 30, leaseSeconds: 300, run: () => rotateLogs(deps) },
    {
      name: 'clean-instances',
      everySeconds: 600,
      leaseSeconds: 600,
      run: (signal) => cleanInstances(deps, signal),
    },
  ]
}

const GROWING: ReadonlySet<InstanceState> = new Set(['starting', 'running', 'draining'])

async function rotateLogs({ db, hostId, logPlaces }: JobDeps): Promise<void> {
  const rows = await db
    .selectFrom('instances')
    .select(['id', 'state'])
    .where('host_id', '=', hostId)
    .execute()
  // Those that ended grow no more, and there are up to twenty of them per project.
  const growing = rows.filter(({ state }) => GROWING.has(state))
  await rotateInstanceLogs(
    logPlaces,
    growing.map(({ id }) => id),
  )
  const known = new Set(rows.map(({ id }) => id))
  await removeOrphanedLogs(logPlaces, (id) => known.has(id))
}
