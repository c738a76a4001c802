import { SYSTEM } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { InstallationFacts } from '../githosts/github-host.ts'
import { readMembership } from '../identity/memberships.ts'
import { isOperationError } from '../lib/errors.ts'
import { claimInTransaction } from './claim-installation.ts'
import { forgetLink } from './disconnect-github.ts'
import { storeVerified, verifyFor } from './finish-installation.ts'
import { loadGithubApp, readApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { refreshInstallation } from './refresh-installation.ts'
import { refreshLinkedRepositories } from './refresh-repositories.ts'
import { syncRepositories } from './sync-repositories.ts'
import { saveUnclaimed } from './unclaimed-installations.ts'
import { findLinkByGithubUser } from './user-links.ts'
import { userAccessToken } from './user-token.ts'
import type { VerifiedInstallation } from './verify-installations.ts'

/** Something happened to an App, an installation or a repository at GitHub: a hint to read it again. */
export interface LifecycleEvent {
  /** Of the hook that was called: nothing of another App is ever touched. */
  integrationId: string
  event: string
  action: string
  installationId: number | null
  repoId: number | null
  /** Whose doing it was; of `github_app_authorization`: whose grant ended. */
  senderId: number | null
  senderLogin: string | null
}

export type LifecycleEnd =
  /** `resumed`: projects whose branches have to be looked at, since pushes were missed. */
  { kind: 'done'; resumed: string[] } | { kind: 'ignored'; reason: 'unknown_installation' }

const DONE: LifecycleEnd = { kind: 'done', resumed: [] }

/**
 * Reads again at GitHub what an event is about and stores what GitHub says: name and id of an event are not signed and
 * may be old. Throws what asking GitHub throws, so that it is tried again.
 */
export async function handleLifecycle(
  deps: IntegrationDeps,
  event: LifecycleEvent,
  signal: AbortSignal,
): Promise<LifecycleEnd> {
  const { integrationId, installationId, repoId } = event
  if (event.event === 'github_app_authorization') return await checkGrant(deps, event, signal)
  if (event.event === 'repository') {
    if (repoId === null) return DONE
    const { resumed, installationIds } = await refreshLinkedRepositories(
      deps,
      { integrationId, repoId },
      signal,
    )
    const touched = new Set(installationIds)
    if (installationId !== null) touched.add(installationId)
    for (const id of touched) await syncKnown(deps, { integrationId, installationId: id }, signal)
    return { kind: 'done', resumed }
  }
  if (installationId === null) return { kind: 'ignored', reason: 'unknown_installation' }
  return await refreshWhole(deps, { ...event, installationId }, signal)
}

async function refreshWhole(
  deps: IntegrationDeps,
  event: LifecycleEvent & { installationId: number },
  signal: AbortSignal,
): Promise<LifecycleEnd> {
  const { integrationId, installationId } = event
  const refreshed = await refreshInstallation(deps, integrationId, installationId, signal)
  if (refreshed.kind === 'gone') return DONE
  const { facts, isKnown, resumed } = refreshed
  const isCreation = event.event === 'installation' && event.action === 'created'
  if (isCreation) await welcome(deps, event, facts, signal)
  else if (!isKnown) return DONE
  if (facts.suspendedAt !== null) return DONE
  const place = { integrationId, installationId }
  const seenAgain = await refreshLinkedRepositories(deps, place, signal)
  await syncKnown(deps, place, signal)
  return { kind: 'done', resumed: [...new Set([...resumed, ...seenAgain.resumed])] }
}

/** Only what somebody here connected is kept in the cache. */
async function syncKnown(
  deps: IntegrationDeps,
  place: { integrationId: string; installationId: number },
  signal: AbortSignal,
): Promise<void> {
  const row = await deps.db
    .selectFrom('github_installations')
    .selectAll()
    .where('integration_id', '=', place.integrationId)
    .where('installation_id', '=', place.installationId)
    .where('removed_at', 'is', null)
    .where('suspended_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined) return
  await syncRepositories(deps, await loadGithubApp(deps, place.integrationId), row, signal)
}

/**
 * Somebody installed the App. When they are linked here and GitHub says, to them, that they reach it, it is theirs; when
 * they also own the account there and administer an organization here, it is claimed. Otherwise it waits for a claim.
 */
async function welcome(
  deps: IntegrationDeps,
  event: LifecycleEvent,
  facts: InstallationFacts,
  signal: AbortSignal,
): Promise<void> {
  const { integrationId, senderId, senderLogin } = event
  if (senderId === null) return
  const link = await findLinkByGithubUser(deps.db, integrationId, senderId)
  const found =
    link === undefined
      ? undefined
      : await verifySender(deps, { integrationId, userId: link.local_user_id, facts }, signal)
  const userId = link?.local_user_id ?? null
  const mayClaim = found?.role === 'self' || found?.role === 'admin'
  const organizationId =
    mayClaim && userId !== null
      ? await findClaimingOrganization(deps.db, integrationId, userId)
      : null
  const unclaimed = {
    newId: deps.newId(),
    integrationId,
    facts,
    sender: { id: senderId, login: senderLogin ?? '' },
    now: deps.clock.now(),
  }
  await inTransaction(deps.db, async (tx) => {
    await saveUnclaimed(tx, unclaimed)
    if (organizationId === null || userId === null) return
    const installation = { integrationId, installationId: facts.id, organizationId, userId }
    await claimInTransaction(deps, tx, { installation, by: SYSTEM })
  })
}

/** What GitHub says to the sender; undefined when it cannot be asked, or does not list it. */
async function verifySender(
  deps: IntegrationDeps,
  sender: { integrationId: string; userId: string; facts: InstallationFacts },
  signal: AbortSignal,
): Promise<VerifiedInstallation | undefined> {
  const { integrationId, userId, facts } = sender
  try {
    const app = await loadGithubApp(deps, integrationId)
    const verified = await verifyFor(deps, app, userId, signal)
    const found = verified.find((one) => one.facts.id === facts.id)
    if (found !== undefined) await storeVerified(deps, app, userId, verified)
    return found
  } catch (error) {
    if (isOperationError(error)) return undefined
    throw error
  }
}

/** The App's own organization, or the only one that the person belongs to, when they administer it. */
async function findClaimingOrganization(
  db: Database,
  integrationId: string,
  userId: string,
): Promise<string | null> {
  const app = await readApp(db, integrationId)
  const memberships = await db
    .selectFrom('organization_members')
    .select('organization_id')
    .where('user_id', '=', userId)
    .limit(2)
    .execute()
  const only = memberships.length === 1 ? memberships[0]?.organization_id : undefined
  const id = app?.organizationId ?? only
  if (id === undefined) return null
  const membership = await readMembership(db, userId, { id })
  return membership?.role === 'admin' || membership?.role === 'owner' ? id : null
}

/** Whether somebody's grant has ended, by trying what it gave us. */
async function checkGrant(
  deps: IntegrationDeps,
  { integrationId, senderId }: LifecycleEvent,
  signal: AbortSignal,
): Promise<LifecycleEnd> {
  if (senderId === null) return DONE
  const link = await findLinkByGithubUser(deps.db, integrationId, senderId)
  if (link === undefined) return DONE
  const app = await loadGithubApp(deps, integrationId)
  try {
    const token = await userAccessToken(deps, app, link.local_user_id, signal)
    const { id } = await deps.github.readUser(app, token, signal)
    if (id === senderId) return DONE
  } catch (error) {
    const ends = ['github.refused', 'github.reconnect_needed', 'github.not_connected']
    if (!ends.some((code) => isOperationError(error, code))) throw error
  }
  const organizationId = (await readApp(deps.db, integrationId))?.organizationId ?? null
  await inTransaction(deps.db, async (tx) => {
    const projects = await forgetLink(deps, tx, link)
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: SYSTEM,
      action: 'github.disconnected',
      target: { kind: 'github_app', id: integrationId, name: app.slug },
      details: { login: link.github_login, reason: 'revoked at GitHub', projects },
    })
  })
  return DONE
}
