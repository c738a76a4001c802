import { inTransaction } from '../database/in-transaction.ts'
import type { GithubApp } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, OperationError } from '../lib/errors.ts'
import { endInstallTrip } from './connect-github.ts'
import { loadGithubApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import type { Traveller } from './oauth-trip.ts'
import { readUserLink } from './user-links.ts'
import { noteRefusedToken, notConnected, userAccessToken } from './user-token.ts'
import {
  saveVerified,
  verifyInstallations,
  type VerifiedInstallation,
} from './verify-installations.ts'

interface Setup {
  traveller: Traveller
  state: string | null
  /** As the address says; anybody can write one. */
  installationId: number | null
}

/**
 * After somebody installed the App or changed what it may see: asks GitHub, as this person, whether they reach that
 * installation, and stores what they reach. `requested`: the owner of an organization was asked. Throws
 * `github.state_invalid`, `github.installation_not_yours`, `github.not_connected`; nothing is stored then.
 */
export async function finishInstallation(
  deps: IntegrationDeps,
  setup: Setup,
  signal: AbortSignal,
): Promise<{ kind: 'installed' | 'requested'; returnTo: string }> {
  const trip = await endInstallTrip(deps, setup)
  if (trip === undefined) {
    throw new OperationError(
      'github.state_invalid',
      'Cannot take over this installation: it was not begun here, or too long ago. Connect GitHub here again',
    )
  }
  const { integrationId, returnTo } = trip
  if (setup.installationId === null) return { kind: 'requested', returnTo }
  const app = await loadGithubApp(deps, integrationId)
  const verified = await verifyFor(deps, app, setup.traveller.userId, signal)
  if (!verified.some(({ facts }) => facts.id === setup.installationId)) {
    throw new OperationError(
      'github.installation_not_yours',
      `Cannot use installation "${setup.installationId}": GitHub does not list it for your account`,
    )
  }
  await storeVerified(deps, app, setup.traveller.userId, verified)
  return { kind: 'installed', returnTo }
}

/** What GitHub lists for a person now. Throws `github.not_connected`, `github.reconnect_needed`, GitHub's failures. */
export async function verifyFor(
  deps: IntegrationDeps,
  app: GithubApp,
  userId: string,
  signal: AbortSignal,
): Promise<VerifiedInstallation[]> {
  const link = await readUserLink(deps.db, app.integrationId, userId)
  if (link === undefined) throw notConnected()
  const token = await userAccessToken(deps, app, userId, signal)
  const person = { userId, githubUserId: link.github_user_id, token }
  try {
    return await verifyInstallations(deps, app, person, signal)
  } catch (error) {
    if (isOperationError(error, 'github.refused')) {
      await noteRefusedToken(deps, app.integrationId, userId, token)
    }
    throw error
  }
}

export async function storeVerified(
  deps: IntegrationDeps,
  app: GithubApp,
  userId: string,
  verified: readonly VerifiedInstallation[],
): Promise<void> {
  const { integrationId } = app
  const now = toIsoTime(deps.clock.now())
  await inTransaction(deps.db, async (tx) => {
    const link = await readUserLink(tx, integrationId, userId)
    if (link === undefined) return
    const person = { userId, githubUserId: link.github_user_id }
    await saveVerified(tx, { integrationId, person, verified, newId: deps.newId, now })
  })
}
