import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { storeVerified, verifyFor } from './finish-installation.ts'
import { loadGithubApp } from './github-apps.ts'
import { readInstallationRow } from './installation-records.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { reactivateClaimed } from './project-links.ts'
import { notConnected } from './user-token.ts'
import type { VerifiedInstallation } from './verify-installations.ts'

interface Claim {
  organizationId: string
  /** Whose account at GitHub vouches for it; null for the operator, who has none. */
  userId: string | null
  /** Of an installation, or of one that nobody has claimed. */
  id: string
  by: Actor
}

/**
 * Makes a whole installation the organization's: from then on its admins may use any repository in it. GitHub must say,
 * to this person, that they are its account or own the organization. Gives the id of its row. Throws
 * `github.installation_not_found`, `github.not_connected`, `github.claim_not_allowed`, `github.already_claimed`.
 */
export async function claimInstallation(
  deps: IntegrationDeps,
  claim: Claim,
  signal: AbortSignal,
): Promise<string> {
  const { organizationId, userId, id } = claim
  const place = await findPlace(deps.db, organizationId, id)
  if (place === undefined) throw notFound(id)
  if (userId === null) throw notConnected()
  if (place.expiresAt !== null && place.expiresAt <= toIsoTime(deps.clock.now())) {
    throw taken(id, 'it was not claimed in time; connect GitHub again to use it')
  }
  const app = await loadGithubApp(deps, place.integrationId)
  const verified = await verifyFor(deps, app, userId, signal)
  const found = verified.find(({ facts }) => facts.id === place.installationId)
  if (found === undefined) throw notFound(id)
  if (found.role !== 'self' && found.role !== 'admin') throw notAllowed(found)
  await storeVerified(deps, app, userId, verified)
  return await inTransaction(deps.db, async (tx) => {
    const installation = { ...place, organizationId, userId }
    const row = await claimInTransaction(deps, tx, { installation, by: claim.by })
    if (row === undefined) throw taken(id, 'it was claimed already')
    return row
  })
}

/**
 * Claims an installation whose row exists, once: of two at the same time one statement lets one win. Undefined when it
 * is claimed, removed or too late.
 */
export async function claimInTransaction(
  deps: Pick<IntegrationDeps, 'clock' | 'newId'>,
  tx: Tx,
  claim: {
    installation: {
      integrationId: string
      installationId: number
      organizationId: string
      userId: string
    }
    by: Actor
  },
): Promise<string | undefined> {
  const { integrationId, installationId, organizationId, userId } = claim.installation
  const now = toIsoTime(deps.clock.now())
  const won = await tx
    .updateTable('github_installations')
    .set({ organization_id: organizationId, local_user_id: userId, updated_at: now })
    .where('integration_id', '=', integrationId)
    .where('installation_id', '=', installationId)
    .where('organization_id', 'is', null)
    .where('removed_at', 'is', null)
    .returning(['id', 'account_login'])
    .executeTakeFirst()
  if (won === undefined) return undefined
  await reactivateClaimed(tx, { integrationId, installationId, organizationId, now })
  await tx
    .updateTable('unclaimed_installations')
    .set({
      claimed_at: now,
      claimed_by_organization_id: organizationId,
      claimed_by_user_id: userId,
    })
    .where('integration_id', '=', integrationId)
    .where('installation_id', '=', installationId)
    .where('claimed_at', 'is', null)
    .execute()
  await recordAuditEvent(deps, tx, {
    organizationId,
    by: claim.by,
    action: 'github.installation_claimed',
    target: { kind: 'github_installation', id: won.id, name: won.account_login },
    details: { installation_id: installationId },
  })
  return won.id
}

interface Place {
  integrationId: string
  installationId: number
  /** Null for one that somebody connected. */
  expiresAt: string | null
}

/** What an id names, through Apps that the organization may use. Claimed ones of others are not there. */
async function findPlace(
  db: Database,
  organizationId: string,
  id: string,
): Promise<Place | undefined> {
  const unclaimed = await db
    .selectFrom('unclaimed_installations as unclaimed')
    .innerJoin('integrations as app', 'app.id', 'unclaimed.integration_id')
    .select(['unclaimed.integration_id', 'unclaimed.installation_id', 'unclaimed.expires_at'])
    .where('unclaimed.id', '=', id)
    .where((of) =>
      of.or([
        of('app.organization_id', 'is', null),
        of('app.organization_id', '=', organizationId),
      ]),
    )
    .executeTakeFirst()
  if (unclaimed !== undefined) {
    const { integration_id: integrationId, installation_id: installationId } = unclaimed
    const known = await readInstallationRow(db, integrationId, installationId)
    if (known !== undefined && known.removed_at !== null) return undefined
    return { integrationId, installationId, expiresAt: unclaimed.expires_at }
  }
  const row = await db
    .selectFrom('github_installations as installation')
    .innerJoin('integrations as app', 'app.id', 'installation.integration_id')
    .select(['installation.integration_id', 'installation.installation_id'])
    .where('installation.id', '=', id)
    .where('installation.removed_at', 'is', null)
    .where((of) =>
      of.or([
        of('app.organization_id', 'is', null),
        of('app.organization_id', '=', organizationId),
      ]),
    )
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { integration_id: integrationId, installation_id: installationId } = row
  return { integrationId, installationId, expiresAt: null }
}

function notFound(id: string): OperationError {
  return new OperationError('github.installation_not_found', `Cannot find installation "${id}"`)
}

function taken(id: string, why: string): OperationError {
  return new OperationError('github.already_claimed', `Cannot claim installation "${id}": ${why}`)
}

function notAllowed({ facts }: VerifiedInstallation): OperationError {
  const { login, type } = facts.account
  const why =
    type === 'Organization'
      ? 'GitHub does not say that you own the organization; the App needs the permission to read its members to know'
      : 'it is the account of somebody else'
  return new OperationError(
    'github.claim_not_allowed',
    `Cannot claim the installation on "${login}": ${why}`,
  )
}
