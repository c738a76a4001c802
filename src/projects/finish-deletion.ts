import type { Selectable } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Schema } from '../database/schema.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Project } from './project-records.ts'

export interface DeletionDeps {
  db: Database
  log: Logger
  /** Resolves when the traffic process no longer routes to what the records do not have. */
  publishRoutes(): Promise<void>
  /** Ends an instance, whatever its state; one that is gone is fine. Removes its log too. */
  endInstance(project: Project, instance: Selectable<Schema['instances']>): Promise<void>
  removeRelease(releaseId: string): Promise<void>
  /** Removes the directory that the app kept across releases. */
  removeAppData(projectId: string): Promise<void>
  /** Removes the mirror of a source that no project of the organization has any more. */
  removeMirror(source: {
    organizationId: string
    repoUrl: string
    repositoryId: number | null
  }): Promise<void>
}

/**
 * The sweep that ends what deleted projects left: instances, releases, data, mirrors, then the records. Each step may
 * be repeated, so a crash in between is finished by the next sweep. Waits for deployments that are still ending.
 */
export async function finishDeletions(deps: DeletionDeps, signal: AbortSignal): Promise<void> {
  const projects = await deps.db
    .selectFrom('projects')
    .selectAll()
    .where('deleted_at', 'is not', null)
    .orderBy('deleted_at')
    .limit(100)
    .execute()
  if (projects.some((project) => !isCleared(project))) await deps.publishRoutes()
  for (const project of projects) {
    signal.throwIfAborted()
    try {
      if (!isCleared(project)) await clearProject(deps, project)
      await removeRecord(deps.db, project.id)
    } catch (error) {
      // One project that cannot be removed must not keep the others.
      const fields = { projectId: project.id, reason: messageOf(error) }
      deps.log.warn('Cannot finish the deletion of a project yet', fields)
    }
  }
}

/** The record of a cleared project only keeps its account slot from being given out again. */
function isCleared(project: Project): boolean {
  return project.repo_url === ''
}

async function clearProject(deps: DeletionDeps, project: Project): Promise<void> {
  if (await hasUnendedDeployment(deps.db, project.id)) return
  const instances = await deps.db
    .selectFrom('instances')
    .selectAll()
    .where('project_id', '=', project.id)
    .execute()
  for (const instance of instances) await deps.endInstance(project, instance)
  const releases = await deps.db
    .selectFrom('releases')
    .select('id')
    .where('project_id', '=', project.id)
    .execute()
  for (const release of releases) await deps.removeRelease(release.id)
  await deps.removeAppData(project.id)
  if (!(await isSourceShared(deps.db, project))) {
    await deps.removeMirror({
      organizationId: project.organization_id,
      repoUrl: project.repo_url,
      repositoryId: project.source_repo_id,
    })
  }
  await inTransaction(deps.db, (tx) => removeDetails(tx, project.id))
}

async function hasUnendedDeployment(db: Database, projectId: string): Promise<boolean> {
  const row = await db
    .selectFrom('deployments')
    .select('id')
    .where('project_id', '=', projectId)
    .where('ended_at', 'is', null)
    .where('state', '!=', 'live')
    .executeTakeFirst()
  return row !== undefined
}

/** Two spellings of one repository have one mirror; one that is known by its id has another. */
async function isSourceShared(db: Database, project: Project): Promise<boolean> {
  const others = await db
    .selectFrom('projects')
    .select(['repo_url', 'source_repo_id'])
    .where('organization_id', '=', project.organization_id)
    .where('id', '!=', project.id)
    .execute()
  const identityOf = ({ repo_url, source_repo_id: id }: typeof project | (typeof others)[number]) =>
    id === null ? repo_url.replace(/\.git$/i, '') : `${URL.parse(repo_url)?.origin} ${id}`
  return others.some((other) => identityOf(other) === identityOf(project))
}

async function removeDetails(tx: Tx, projectId: string): Promise<void> {
  await tx
    .updateTable('projects')
    .set({ live_deployment_id: null, repo_url: '' })
    .where('id', '=', projectId)
    .execute()
  const tables = [
    'environment_variables',
    'domains',
    'instances',
    'branch_decisions',
    'deployments',
    'releases',
  ] as const
  for (const table of tables) {
    await tx.deleteFrom(table).where('project_id', '=', projectId).execute()
  }
}

/** The highest account slot must stay known: uids are given out by it, and never twice. */
async function removeRecord(db: Database, projectId: string): Promise<void> {
  await db
    .deleteFrom('projects')
    .where('id', '=', projectId)
    .where('repo_url', '=', '')
    .where('account_slot', '<', (eb) =>
      eb
        .selectFrom('projects as others')
        .select((max) => max.fn.max('others.account_slot').as('highest')),
    )
    .execute()
}
