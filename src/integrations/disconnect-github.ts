import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { loadGithubApp } from './github-apps.ts'
import { forgetInstallationUser } from './installation-records.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { deactivateLinksOf } from './project-links.ts'
import { listUserLinks, type UserLink } from './user-links.ts'
import { userAccessToken } from './user-token.ts'

interface Disconnect {
  userId: string
  /** Null: through every App. */
  integrationId: string | null
  organizationId: string | null
  by: Actor
}

export interface Disconnected {
  /** How many links there were. */
  links: number
  /** False when GitHub could not be told: the person ends the grant there, under Applications in their settings. */
  revoked: boolean
  /** Projects that pushes deploy no more. */
  projectIds: string[]
}

/**
 * Takes a person's account at GitHub from us: the grant is revoked there, the tokens are destroyed here, and projects
 * whose right came from this person are deployed by pushes no more. Apps keep running.
 */
export async function disconnectGithub(
  deps: IntegrationDeps,
  disconnect: Disconnect,
  signal: AbortSignal,
): Promise<Disconnected> {
  const { userId, integrationId, organizationId, by } = disconnect
  const all = await listUserLinks(deps.db, userId)
  const links = all.filter((link) => [null, link.integration_id].includes(integrationId))
  const end: Disconnected = { links: links.length, revoked: true, projectIds: [] }
  for (const link of links) {
    if (!(await revokeGrant(deps, link, signal))) end.revoked = false
    const revoked = end.revoked
    const projectIds = await inTransaction(deps.db, async (tx) => {
      const ended = await forgetLink(deps, tx, link)
      await recordAuditEvent(deps, tx, {
        organizationId,
        by,
        action: 'github.disconnected',
        target: { kind: 'github_app', id: link.integration_id },
        details: { login: link.github_login, revoked, projects: ended },
      })
      return ended
    })
    end.projectIds.push(...projectIds)
  }
  return end
}

async function revokeGrant(
  deps: IntegrationDeps,
  link: UserLink,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const app = await loadGithubApp(deps, link.integration_id)
    const token = await userAccessToken(deps, app, link.local_user_id, signal)
    await deps.github.revokeGrant(app, token, signal)
    return true
  } catch (error) {
    if (isOperationError(error)) return false
    throw error
  }
}

/** Removes a link, its tokens and what the person was verified to reach; gives the projects that ended with it. */
export async function forgetLink(
  deps: Pick<IntegrationDeps, 'clock'>,
  tx: Tx,
  link: Pick<UserLink, 'id' | 'integration_id' | 'local_user_id'>,
): Promise<string[]> {
  await tx.deleteFrom('github_user_links').where('id', '=', link.id).execute()
  return await forgetReach(deps, tx, link)
}

/** What an account at GitHub let a person reach here, and the projects that this alone deployed. */
export async function forgetReach(
  deps: Pick<IntegrationDeps, 'clock'>,
  tx: Tx,
  link: Pick<UserLink, 'integration_id' | 'local_user_id'>,
): Promise<string[]> {
  const { integration_id: integrationId, local_user_id: userId } = link
  const now = toIsoTime(deps.clock.now())
  await forgetInstallationUser(tx, integrationId, userId)
  await tx
    .deleteFrom('github_repository_users')
    .where('local_user_id', '=', userId)
    .where('github_repository_id', 'in', (of) =>
      of.selectFrom('github_repositories').select('id').where('integration_id', '=', integrationId),
    )
    .execute()
  return await deactivateLinksOf(tx, { integrationId, userId, now })
}
