import type { Database, Tx } from '../database/database.ts'
import type { GithubRepositoryTable } from '../database/integration-tables.ts'
import type { RepositoryFacts } from '../githosts/github-host.ts'
import type { NewId } from '../lib/ids.ts'
import type { Installation } from './installation-records.ts'
import { saveRepositoryNames } from './project-links.ts'

export type RepositoryRow = GithubRepositoryTable

interface Page {
  installation: Pick<Installation, 'id' | 'integration_id' | 'installation_id'>
  facts: readonly RepositoryFacts[]
  /** When reading began; what has an older time at the end was not seen. */
  seenAt: string
}

/** Stores a page as the App's own token was told it; a repository that was removed is there again. */
export async function saveRepositories(
  tx: Tx,
  { newId }: { newId: NewId },
  page: Page,
): Promise<void> {
  if (page.facts.length === 0) return
  await tx
    .insertInto('github_repositories')
    .values(
      page.facts.map((facts) => ({
        ...rowOf(page, facts, newId()),
        permission_admin: facts.permissions.admin,
        permission_push: facts.permissions.push,
        permission_pull: facts.permissions.pull,
      })),
    )
    .onConflict((on) =>
      on.columns(['github_installation_id', 'repo_id']).doUpdateSet((row) => ({
        ...Object.fromEntries(FACT_COLUMNS.map((name) => [name, row.ref(`excluded.${name}`)])),
        permission_admin: row.ref('excluded.permission_admin'),
        permission_push: row.ref('excluded.permission_push'),
        permission_pull: row.ref('excluded.permission_pull'),
      })),
    )
    .execute()
  await followNames(tx, page)
  await followTransfers(tx, page)
}

/** Stores a page as one person was told it, with what they may. */
export async function saveReach(
  tx: Tx,
  { newId }: { newId: NewId },
  page: Page & { userId: string },
): Promise<void> {
  if (page.facts.length === 0) return
  const rows = await tx
    .insertInto('github_repositories')
    .values(
      page.facts.map((facts) => ({
        ...rowOf(page, facts, newId()),
        permission_admin: false,
        permission_push: false,
        permission_pull: false,
      })),
    )
    .onConflict((on) =>
      on
        .columns(['github_installation_id', 'repo_id'])
        .doUpdateSet((row) =>
          Object.fromEntries(FACT_COLUMNS.map((name) => [name, row.ref(`excluded.${name}`)])),
        ),
    )
    .returning(['id', 'repo_id'])
    .execute()
  const permissions = new Map(page.facts.map((facts) => [facts.id, facts.permissions]))
  await tx
    .insertInto('github_repository_users')
    .values(
      rows.map(({ id, repo_id }) => ({
        github_repository_id: id,
        local_user_id: page.userId,
        permission_admin: permissions.get(repo_id)?.admin ?? false,
        permission_push: permissions.get(repo_id)?.push ?? false,
        permission_pull: permissions.get(repo_id)?.pull ?? false,
        verified_at: page.seenAt,
      })),
    )
    .onConflict((on) =>
      on.columns(['github_repository_id', 'local_user_id']).doUpdateSet((row) => ({
        permission_admin: row.ref('excluded.permission_admin'),
        permission_push: row.ref('excluded.permission_push'),
        permission_pull: row.ref('excluded.permission_pull'),
        verified_at: row.ref('excluded.verified_at'),
      })),
    )
    .execute()
  await followNames(tx, page)
  await followTransfers(tx, page)
}

/** After the last page: what was not seen is gone. Rows stay, because what hangs on them may be wanted again. */
export async function removeUnseen(
  db: Database,
  installationRowId: string,
  seenAt: string,
): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('github_repositories')
    .set({ removed_at: seenAt })
    .where('github_installation_id', '=', installationRowId)
    .where('removed_at', 'is', null)
    .where('last_synced_at', '<', seenAt)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

/** After the last page of a person: what they were not shown they reach no more. */
export async function forgetUnseenReach(
  db: Database,
  reach: { installationRowId: string; userId: string; seenAt: string },
): Promise<void> {
  await db
    .deleteFrom('github_repository_users')
    .where('local_user_id', '=', reach.userId)
    .where('verified_at', '<', reach.seenAt)
    .where('github_repository_id', 'in', (of) =>
      of
        .selectFrom('github_repositories')
        .select('id')
        .where('github_installation_id', '=', reach.installationRowId),
    )
    .execute()
}

const FACT_COLUMNS = [
  'node_id',
  'owner_login',
  'name',
  'full_name',
  'default_branch',
  'is_private',
  'html_url',
  'clone_url',
  'archived',
  'disabled',
  'pushed_at',
  'removed_at',
  'last_synced_at',
] as const

function rowOf({ installation, seenAt }: Page, facts: RepositoryFacts, id: string) {
  return {
    id,
    integration_id: installation.integration_id,
    github_installation_id: installation.id,
    installation_id: installation.installation_id,
    repo_id: facts.id,
    node_id: facts.nodeId,
    owner_login: facts.ownerLogin,
    name: facts.name,
    full_name: facts.fullName,
    default_branch: facts.defaultBranch,
    is_private: facts.isPrivate,
    html_url: facts.htmlUrl,
    clone_url: facts.cloneUrl,
    archived: facts.archived,
    disabled: facts.disabled,
    pushed_at: facts.pushedAt,
    removed_at: null,
    last_synced_at: seenAt,
    created_at: seenAt,
  }
}

/** Projects know their repository by its id: what it is called now is told to them. */
async function followNames(tx: Tx, { installation, facts, seenAt }: Page): Promise<void> {
  const ids = facts.map(({ id }) => id)
  const links = await tx
    .selectFrom('project_github_links as link')
    .innerJoin('projects', 'projects.id', 'link.project_id')
    .select(['link.repo_id', 'link.full_name', 'link.default_branch', 'projects.repo_url'])
    .where('link.integration_id', '=', installation.integration_id)
    .where('link.repo_id', 'in', ids)
    .where('projects.deleted_at', 'is', null)
    .execute()
  const byId = new Map(facts.map((fact) => [fact.id, fact]))
  const renamed = new Map<number, RepositoryFacts>()
  for (const link of links) {
    const fact = byId.get(link.repo_id)
    const same =
      fact?.fullName === link.full_name &&
      fact.defaultBranch === link.default_branch &&
      fact.cloneUrl === link.repo_url
    if (fact !== undefined && !same) renamed.set(fact.id, fact)
  }
  for (const fact of renamed.values()) {
    await saveRepositoryNames(tx, installation.integration_id, fact, seenAt)
  }
}

/**
 * A repository that went to another account is reached through that one's installation. Links follow where whoever made
 * them may push there, or their organization claimed it: else somebody's code would follow to people it was taken from.
 */
async function followTransfers(tx: Tx, { installation, facts, seenAt }: Page): Promise<void> {
  const { integration_id, installation_id } = installation
  await tx
    .updateTable('project_github_links as link')
    .set({ installation_id, active: true, inactive_reason: null, updated_at: seenAt })
    .where('link.integration_id', '=', integration_id)
    .where(
      'link.repo_id',
      'in',
      facts.map(({ id }) => id),
    )
    .where('link.installation_id', '<>', installation_id)
    .where((of) =>
      of.or([
        of('link.inactive_reason', 'is', null),
        of('link.inactive_reason', '=', 'repository_removed'),
      ]),
    )
    .where((of) =>
      of.or([
        of.exists(
          of
            .selectFrom('github_installations as present')
            .select('present.id')
            .where('present.id', '=', installation.id)
            .whereRef('present.organization_id', '=', 'link.organization_id'),
        ),
        of.exists(
          of
            .selectFrom('github_repository_users as reach')
            .innerJoin('github_repositories as row', 'row.id', 'reach.github_repository_id')
            .select('row.id')
            .where('row.github_installation_id', '=', installation.id)
            .whereRef('row.repo_id', '=', 'link.repo_id')
            .whereRef('reach.local_user_id', '=', 'link.linked_by_user_id')
            .where((may) =>
              may.or([
                may('reach.permission_push', '=', true),
                may('reach.permission_admin', '=', true),
              ]),
            ),
        ),
      ]),
    )
    .execute()
}
