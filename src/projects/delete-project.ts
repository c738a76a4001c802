import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import { readProject } from './project-records.ts'

/**
 * Marks a project as deleted and cancels what is deploying. Its name, host name and domains are free at once; the rest
 * is removed by `finishDeletions`. Throws `project.not_found`.
 */
export function deleteProject(
  deps: {
    db: Database
    clock: Clock
    newId: NewId
    cancelDeployments(tx: Tx, projectId: string): Promise<void>
    /** Ends what ties it to its repository. */
    unlink(tx: Tx, projectId: string, now: string): Promise<void>
  },
  organizationId: string,
  id: string,
  by: Actor,
): Promise<void> {
  return inTransaction(deps.db, async (tx) => {
    const { name } = await readProject(tx, organizationId, id)
    await deps.cancelDeployments(tx, id)
    await tx.deleteFrom('domains').where('project_id', '=', id).execute()
    const now = toIsoTime(deps.clock.now())
    await deps.unlink(tx, id, now)
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
    const target = { kind: 'project', id, name }
    const event = { organizationId, by, action: 'project.deleted', target } as const
    await recordAuditEvent(deps, tx, event)
  })
}
