import type { Selectable } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
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

/** Projects of an organization after the id `after`, oldest first; with `name`, only the one so named. */
export function listProjects(
  db: Database,
  organizationId: string,
  page: { after: string | null; limit: number; name?: string | undefined },
): Promise<Project[]> {
  let query = db
    .selectFrom('projects')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('deleted_at', 'is', null)
    .where('id', '>', page.after ?? '')
  if (page.name !== undefined) query = query.where('name', '=', page.name)
  return query.orderBy('id').limit(page.limit).execute()
}
