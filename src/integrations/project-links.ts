import type { Database, Tx } from '../database/database.ts'
import type { ProjectGithubLinkTable } from '../database/webhook-tables.ts'
import type { GithubApp, RepositoryFacts } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import type { GithubPerson } from './verify-installations.ts'

/** Why pushes to a repository deploy nothing. Apps keep running with what they have. */
export type InactiveReason =
  | 'installation_deleted'
  | 'installation_suspended'
  | 'repository_removed'
  | 'account_disconnected'
  | 'member_removed'

/** The right of whoever linked it has ended; nothing that happens at GitHub brings it back. */
const RIGHT_ENDED = ['account_disconnected', 'member_removed'] as const satisfies InactiveReason[]

export type ProjectLink = ProjectGithubLinkTable

/** Ends the links of an installation's projects that are active; gives the projects. */
export async function deactivateInstallation(
  tx: Tx,
  place: { integrationId: string; installationId: number; reason: InactiveReason; now: string },
): Promise<string[]> {
  const rows = await tx
    .updateTable('project_github_links')
    .set({ active: false, inactive_reason: place.reason, updated_at: place.now })
    .where('integration_id', '=', place.integrationId)
    .where('installation_id', '=', place.installationId)
    .where('active', '=', true)
    .returning('project_id')
    .execute()
  return rows.map((row) => row.project_id)
}

/** Takes up again what ended for this reason; gives the projects. */
export async function reactivateInstallation(
  tx: Tx,
  place: { integrationId: string; installationId: number; reason: InactiveReason; now: string },
): Promise<string[]> {
  const rows = await tx
    .updateTable('project_github_links')
    .set({ active: true, inactive_reason: null, updated_at: place.now })
    .where('integration_id', '=', place.integrationId)
    .where('installation_id', '=', place.installationId)
    .where('active', '=', false)
    .where('inactive_reason', '=', place.reason)
    .returning('project_id')
    .execute()
  return rows.map((row) => row.project_id)
}

/**
 * Ends the links whose right came from this person, but those of installations that the organization claimed. Also those
 * that sleep for another reason: they must not wake up when that is gone.
 */
export async function deactivateLinksOf(
  tx: Tx,
  person: { integrationId: string; userId: string; now: string },
): Promise<string[]> {
  const rows = await tx
    .updateTable('project_github_links')
    .set({ active: false, inactive_reason: 'account_disconnected', updated_at: person.now })
    .where('integration_id', '=', person.integrationId)
    .where('linked_by_user_id', '=', person.userId)
    .where((of) =>
      of.or([of('inactive_reason', 'is', null), of('inactive_reason', 'not in', RIGHT_ENDED)]),
    )
    .where((of) =>
      of.not(
        of.exists(
          of
            .selectFrom('github_installations as installation')
            .select('installation.id')
            .whereRef('installation.integration_id', '=', 'project_github_links.integration_id')
            .whereRef('installation.installation_id', '=', 'project_github_links.installation_id')
            .whereRef('installation.organization_id', '=', 'project_github_links.organization_id'),
        ),
      ),
    )
    .returning('project_id')
    .execute()
  return rows.map((row) => row.project_id)
}

/**
 * After a person connected again: takes up their projects again, where GitHub says that they still may push, in the
 * organizations that they (still, or again) belong to.
 */
export async function reactivateLinksOf(
  deps: Pick<IntegrationDeps, 'db' | 'clock' | 'github'>,
  app: GithubApp,
  person: GithubPerson,
  signal: AbortSignal,
): Promise<void> {
  const links = await deps.db
    .selectFrom('project_github_links')
    .select(['id', 'repo_id'])
    .where('integration_id', '=', app.integrationId)
    .where('linked_by_user_id', '=', person.userId)
    .where('active', '=', false)
    .where('inactive_reason', 'in', RIGHT_ENDED)
    .where('organization_id', 'in', (of) =>
      of
        .selectFrom('organization_members')
        .select('organization_id')
        .where('user_id', '=', person.userId),
    )
    .execute()
  for (const { id, repo_id: repoId } of links) {
    if (!(await mayPush(deps, app, person, { repoId, signal }))) continue
    await deps.db
      .updateTable('project_github_links')
      .set({ active: true, inactive_reason: null, updated_at: toIsoTime(deps.clock.now()) })
      .where('id', '=', id)
      .where('inactive_reason', 'in', RIGHT_ENDED)
      .execute()
  }
}

/** The organization claimed the installation: its own right stands in for that of people who left. */
export async function reactivateClaimed(
  tx: Tx,
  place: { integrationId: string; installationId: number; organizationId: string; now: string },
): Promise<void> {
  await tx
    .updateTable('project_github_links')
    .set({ active: true, inactive_reason: null, updated_at: place.now })
    .where('integration_id', '=', place.integrationId)
    .where('installation_id', '=', place.installationId)
    .where('organization_id', '=', place.organizationId)
    .where('active', '=', false)
    .where('inactive_reason', 'in', RIGHT_ENDED)
    .execute()
}

async function mayPush(
  { github }: Pick<IntegrationDeps, 'github'>,
  app: GithubApp,
  { token }: GithubPerson,
  { repoId, signal }: { repoId: number; signal: AbortSignal },
): Promise<boolean> {
  try {
    const { permissions } = await github.readUserRepository(app, token, repoId, signal)
    return permissions.push || permissions.admin
  } catch (error) {
    if (isOperationError(error)) return false
    throw error
  }
}

/** Links of an installation's projects, or of one repository's whatever the installation. */
export async function listLinks(
  db: Database,
  of: { integrationId: string } & ({ installationId: number } | { repoId: number }),
): Promise<ProjectLink[]> {
  const query = db
    .selectFrom('project_github_links')
    .selectAll()
    .where('integration_id', '=', of.integrationId)
  return 'repoId' in of
    ? await query.where('repo_id', '=', of.repoId).execute()
    : await query.where('installation_id', '=', of.installationId).execute()
}

/** Stores under which name GitHub has a repository now; its id is the same for ever. */
export async function saveRepositoryNames(
  tx: Tx,
  integrationId: string,
  facts: RepositoryFacts,
  now: string,
): Promise<void> {
  await tx
    .updateTable('project_github_links')
    .set({
      owner_login: facts.ownerLogin,
      repo_name: facts.name,
      full_name: facts.fullName,
      default_branch: facts.defaultBranch,
      updated_at: now,
    })
    .where('integration_id', '=', integrationId)
    .where('repo_id', '=', facts.id)
    .execute()
  await tx
    .updateTable('projects')
    .set({ repo_url: facts.cloneUrl, updated_at: now })
    .where('source_provider', '=', 'github')
    .where('source_repo_id', '=', facts.id)
    .where('id', 'in', (of) =>
      of
        .selectFrom('project_github_links')
        .select('project_id')
        .where('integration_id', '=', integrationId)
        .where('repo_id', '=', facts.id),
    )
    .execute()
}
