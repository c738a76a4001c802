import type { Database, Tx } from '../database/database.ts'
import type { UnclaimedInstallationTable } from '../database/integration-tables.ts'
import type { InstallationFacts } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { columnsOf } from './installation-records.ts'

/** How long an installation that nobody here is known for can be claimed. */
export const UNCLAIMED_MS = 7 * 24 * 60 * 60 * 1000

export type UnclaimedInstallation = UnclaimedInstallationTable

/** Stores what GitHub says of an installation that began there. One that was claimed before is not opened again. */
export async function saveUnclaimed(
  tx: Tx,
  save: {
    newId: string
    integrationId: string
    facts: InstallationFacts
    sender: { id: number; login: string }
    now: number
  },
): Promise<void> {
  const { newId, integrationId, facts, sender, now } = save
  const columns = columnsOf(facts)
  await tx
    .insertInto('unclaimed_installations')
    .values({
      id: newId,
      integration_id: integrationId,
      installation_id: facts.id,
      ...columns,
      app_slug: facts.appSlug,
      sender_id: sender.id,
      sender_login: sender.login,
      facts: {},
      created_at: toIsoTime(now),
      expires_at: toIsoTime(now + UNCLAIMED_MS),
      claimed_at: null,
      claimed_by_organization_id: null,
      claimed_by_user_id: null,
    })
    .onConflict((on) => on.columns(['integration_id', 'installation_id']).doUpdateSet(columns))
    .execute()
}

export async function removeUnclaimed(
  tx: Tx,
  integrationId: string,
  installationId: number,
): Promise<void> {
  await tx
    .deleteFrom('unclaimed_installations')
    .where('integration_id', '=', integrationId)
    .where('installation_id', '=', installationId)
    .where('claimed_at', 'is', null)
    .execute()
}

/**
 * Installations that began at GitHub and that this person has to do with there: they installed them, they are of their
 * own account, or they are known to own it. Through Apps that the organization may use.
 */
export async function listUnclaimed(
  db: Database,
  asker: { organizationId: string; userId: string; now: number },
): Promise<UnclaimedInstallation[]> {
  const { organizationId, userId, now } = asker
  return await db
    .selectFrom('unclaimed_installations as unclaimed')
    .innerJoin('integrations as app', 'app.id', 'unclaimed.integration_id')
    .innerJoin('github_user_links as link', (join) =>
      join
        .onRef('link.integration_id', '=', 'unclaimed.integration_id')
        .on('link.local_user_id', '=', userId),
    )
    .selectAll('unclaimed')
    .where('app.status', '=', 'active')
    .where((of) =>
      of.or([
        of('app.organization_id', 'is', null),
        of('app.organization_id', '=', organizationId),
      ]),
    )
    .where('unclaimed.claimed_at', 'is', null)
    .where('unclaimed.expires_at', '>', toIsoTime(now))
    .where((of) =>
      of.or([
        of('unclaimed.sender_id', '=', of.ref('link.github_user_id')),
        of('unclaimed.account_id', '=', of.ref('link.github_user_id')),
        of.exists(
          of
            .selectFrom('github_installations as installation')
            .innerJoin(
              'github_installation_users as reach',
              'reach.github_installation_id',
              'installation.id',
            )
            .select('installation.id')
            .whereRef('installation.integration_id', '=', 'unclaimed.integration_id')
            .whereRef('installation.installation_id', '=', 'unclaimed.installation_id')
            .where('reach.local_user_id', '=', userId)
            .where('reach.account_role', 'in', ['self', 'admin']),
        ),
      ]),
    )
    .orderBy('unclaimed.id')
    .execute()
}
