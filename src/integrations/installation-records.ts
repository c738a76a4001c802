import type { Database, Tx } from '../database/database.ts'
import type { GithubInstallationTable } from '../database/integration-tables.ts'
import type { InstallationFacts } from '../githosts/github-host.ts'

export type Installation = GithubInstallationTable
export type AccountRole = 'self' | 'admin' | 'member' | 'none'

/** What GitHub says of an installation, as columns that two tables have. */
export function columnsOf(facts: InstallationFacts) {
  return {
    account_id: facts.account.id,
    account_login: facts.account.login,
    account_type: facts.account.type,
    target_type: facts.targetType,
    target_id: facts.targetId,
    repository_selection: facts.repositorySelection,
    permissions: { ...facts.permissions },
    events: [...facts.events],
    html_url: facts.htmlUrl,
    suspended_at: facts.suspendedAt,
  }
}

/** Stores what GitHub says; who connected or claimed it stays. Gives the id of its row. */
export async function saveInstallation(
  tx: Tx,
  save: {
    newId: string
    integrationId: string
    facts: InstallationFacts
    /** Who connected it, when it is new here. */
    userId: string | null
    now: string
  },
): Promise<string> {
  const { newId, integrationId, facts, userId, now } = save
  const columns = { ...columnsOf(facts), removed_at: null, updated_at: now }
  const row = await tx
    .insertInto('github_installations')
    .values({
      id: newId,
      integration_id: integrationId,
      installation_id: facts.id,
      ...columns,
      organization_id: null,
      local_user_id: userId,
      synced_at: null,
      sync_error: null,
      sync_token: null,
      sync_until: null,
      created_at: now,
    })
    .onConflict((on) => on.columns(['integration_id', 'installation_id']).doUpdateSet(columns))
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

export async function readInstallationRow(
  db: Database | Tx,
  integrationId: string,
  installationId: number,
): Promise<Installation | undefined> {
  return await db
    .selectFrom('github_installations')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('installation_id', '=', installationId)
    .executeTakeFirst()
}

/** Notes which installations a person was verified to reach; what is not among them they reach no more. */
export async function replaceInstallationUsers(
  tx: Tx,
  replace: {
    integrationId: string
    userId: string
    githubUserId: number
    now: string
    roles: readonly { rowId: string; role: AccountRole }[]
  },
): Promise<void> {
  const { integrationId, userId, githubUserId, now, roles } = replace
  await forgetInstallationUser(tx, integrationId, userId)
  for (const { rowId, role } of roles) {
    await tx
      .insertInto('github_installation_users')
      .values({
        github_installation_id: rowId,
        local_user_id: userId,
        github_user_id: githubUserId,
        account_role: role,
        verified_at: now,
      })
      .execute()
  }
}

export async function forgetInstallationUser(
  tx: Tx,
  integrationId: string,
  userId: string,
): Promise<void> {
  await tx
    .deleteFrom('github_installation_users')
    .where('local_user_id', '=', userId)
    .where('github_installation_id', 'in', (of) =>
      of
        .selectFrom('github_installations')
        .select('id')
        .where('integration_id', '=', integrationId),
    )
    .execute()
}

/** An installation as somebody of an organization sees it. */
export interface ReachedInstallation {
  row: Installation
  role: AccountRole | null
}

/**
 * Installations that a person was verified to reach through Apps that the organization may use, and for its admins those
 * that it claimed.
 */
export async function listReachedInstallations(
  db: Database | Tx,
  asker: { organizationId: string; userId: string | null; seesClaimed: boolean },
): Promise<ReachedInstallation[]> {
  const { organizationId, userId, seesClaimed } = asker
  const rows = await db
    .selectFrom('github_installations as installation')
    .innerJoin('integrations as app', 'app.id', 'installation.integration_id')
    .leftJoin('github_installation_users as reach', (join) =>
      join
        .onRef('reach.github_installation_id', '=', 'installation.id')
        .on('reach.local_user_id', '=', userId ?? ''),
    )
    .selectAll('installation')
    .select('reach.account_role')
    .where('app.status', '=', 'active')
    .where('installation.removed_at', 'is', null)
    .where((of) =>
      of.or([
        of('app.organization_id', 'is', null),
        of('app.organization_id', '=', organizationId),
      ]),
    )
    .where((of) =>
      of.or([
        of('reach.account_role', 'is not', null),
        ...(seesClaimed ? [of('installation.organization_id', '=', organizationId)] : []),
      ]),
    )
    .orderBy('installation.account_login')
    .orderBy('installation.id')
    .execute()
  return rows.map(({ account_role: role, ...row }) => ({ row, role }))
}
