import type { Database } from '../database/database.ts'
import type { HookScope, IgnoreReason, PushPlan } from './plan-delivery.ts'

export interface MatchedProject {
  projectId: string
  organizationId: string
}

export type Match =
  | { kind: 'matched'; projects: MatchedProject[] }
  | { kind: 'none'; reason: IgnoreReason }

/** The hook of the delivery; undefined when it was removed meanwhile. */
export async function readHookScope(db: Database, hookId: string): Promise<HookScope | undefined> {
  const row = await db
    .selectFrom('hooks')
    .innerJoin('integrations', 'integrations.id', 'hooks.integration_id')
    .select([
      'hooks.kind',
      'hooks.organization_id',
      'hooks.repository_id',
      'integrations.id as integration_id',
      'integrations.config',
    ])
    .where('hooks.id', '=', hookId)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const appId = row.config['appId']
  return {
    kind: row.kind,
    organizationId: row.organization_id,
    integrationId: row.integration_id,
    repositoryId: row.repository_id,
    appId: typeof appId === 'number' ? appId : null,
  }
}

/** Projects that deploy this branch of this repository, found by ids that never change. */
export async function matchProjects(db: Database, hook: HookScope, push: PushPlan): Promise<Match> {
  if (push.installationId !== null) {
    const known = await isKnownInstallation(db, hook.integrationId, push.installationId)
    if (!known) return { kind: 'none', reason: 'unknown_installation' }
  }
  let query = db
    .selectFrom('project_github_links as links')
    .innerJoin('projects', 'projects.id', 'links.project_id')
    .select([
      'links.project_id as projectId',
      'links.organization_id as organizationId',
      'links.selected_branch as branch',
      'links.active',
    ])
    .where('links.integration_id', '=', hook.integrationId)
    .where('links.repo_id', '=', push.repoId)
    .where('projects.deleted_at', 'is', null)
    .orderBy('links.project_id')
  if (hook.organizationId !== null) {
    query = query.where('links.organization_id', '=', hook.organizationId)
  }
  const links = await query.execute()
  if (links.length === 0) return { kind: 'none', reason: 'no_project' }
  const ofBranch = links.filter(({ branch }) => branch === push.branch)
  if (ofBranch.length === 0) return { kind: 'none', reason: 'branch_mismatch' }
  const projects = ofBranch
    .filter(({ active }) => active)
    .map(({ projectId, organizationId }) => ({ projectId, organizationId }))
  if (projects.length === 0) return { kind: 'none', reason: 'project_inactive' }
  return { kind: 'matched', projects }
}

async function isKnownInstallation(
  db: Database,
  integrationId: string,
  installationId: number,
): Promise<boolean> {
  for (const table of ['github_installations', 'unclaimed_installations'] as const) {
    const row = await db
      .selectFrom(table)
      .select('id')
      .where('integration_id', '=', integrationId)
      .where('installation_id', '=', installationId)
      .executeTakeFirst()
    if (row !== undefined) return true
  }
  return false
}
