import type { Selectable } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import type { ProjectReach } from '../identity/principal.ts'
import { OperationError } from '../lib/errors.ts'

export type Project = Selectable<Schema['projects']>

/** A project of the organization. One that is deleted, another's or none is the same `project.not_found`. */
export async function readProject(
  db: Database | Tx,
  organizationId: string,
  id: string,
): Promise<Project> {
  const project = await db
    .selectFrom('projects')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (project === undefined) {
    throw new OperationError('project.not_found', `Cannot find project "${id}"`)
  }
  return project
}

/** Projects within reach after the id `after`, oldest first; with `name`, only the one so named. */
export function listProjects(
  db: Database,
  organizationId: string,
  page: { after: string | null; limit: number; name?: string | undefined; reach: ProjectReach },
): Promise<Project[]> {
  const { name, reach } = page
  let query = db
    .selectFrom('projects')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('deleted_at', 'is', null)
    .where('id', '>', page.after ?? '')
  if (name !== undefined) query = query.where('name', '=', name)
  if (reach.kind === 'selected') {
    query = query.where('id', 'in', (eb) =>
      eb
        .selectFrom('project_members')
        .select('project_id')
        .where('organization_id', '=', organizationId)
        .where('user_id', '=', reach.userId),
    )
  }
  return query.orderBy('id').limit(page.limit).execute()
}
