import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { finishDeletions, type DeletionDeps } from '../projects/finish-deletion.ts'
import { mirrorIdOf } from '../sources/mirror.ts'
import type { RunDeps } from './deployment-run.ts'
import type { InstanceLogPlaces } from './instance-logs.ts'
import { stopInstance } from './instances.ts'
import { instanceLogName } from './log-names.ts'
import { removeRotatedLogs } from './rotate-instance-logs.ts'

type Deps = Pick<
  RunDeps,
  'db' | 'log' | 'clock' | 'newId' | 'hostId' | 'runtimes' | 'spawner' | 'publishRoutes'
> & {
  config: { stopGraceSeconds: number; gitHosts: readonly string[] }
  logPlaces: InstanceLogPlaces
}

/** The sweep that ends what deleted projects left on this host. */
export function deletionJob(deps: Deps): RecurringJob {
  const deletion: DeletionDeps = {
    db: deps.db,
    log: deps.log,
    publishRoutes: deps.publishRoutes,
    endInstance: async (project, instance) => {
      const graceMs = deps.config.stopGraceSeconds * 1000
      await stopInstance(deps, project, instance, { graceMs })
      await deps.spawner.removeLog(instanceLogName(instance.id))
      await removeRotatedLogs(deps.logPlaces, instance.id)
    },
    removeRelease: (id) => deps.spawner.remove({ area: 'releases', id }),
    removeAppData: (id) => deps.spawner.remove({ area: 'apps', id }),
    removeMirror: (source) =>
      deps.spawner.remove({ area: 'mirrors', id: mirrorIdOf(source, deps.config.gitHosts) }),
  }
  return {
    name: 'finish-deletions',
    everySeconds: 10,
    leaseSeconds: 300,
    run: (signal) => finishDeletions(deletion, signal),
  }
}
