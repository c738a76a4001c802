import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { readProject } from './project-records.ts'

/**
 * Marks a project as deleted and cancels what is deploying. Its name, host name and domains are free at once; the rest
 * is removed by `finishDeletions`. Throws `project.not_found`.
 */
export function deleteProject(
  deps: {
    db: Database
    clock: Clock
    cancelDeployments(tx: Tx, projectId: string): Promise<void>
  },
  organizationId: string,
  id: string,
): Promise<void> {
  return inTransaction(deps.db, async (tx) => {
    await readProject(tx, organizationId, id)
    await deps.cancelDeployments(tx, id)
    await tx.deleteFrom('domains').where('project_id', '=', id).execute()
    const now = toIsoTime(deps.clock.now())
    await tx
      .updateTable('projects')
      .set({
        name: `deleted ${id}`,
        host_label: `deleted ${id}`,
        auto_deploy: false,
        deleted_at: now,
        updated_at: now,
      })
      .where('id', '=', id)
      .execute()
  })
}
