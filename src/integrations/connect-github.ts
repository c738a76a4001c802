import { createHash, randomBytes } from 'node:crypto'

import { z } from 'zod'

import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { isUniqueViolation } from '../database/database-errors.ts'
import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { GithubApp, UserTokens } from '../githosts/github-host.ts'
import { safeReturnPath } from '../identity/return-path.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { chooseApp } from './choose-app.ts'
import { forgetReach } from './disconnect-github.ts'
import { loadGithubApp, noteAppFacts, type AppRow } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { beginTrip, endTrip, type Traveller } from './oauth-trip.ts'
import { reactivateLinksOf } from './project-links.ts'
import { findLinkByGithubUser, readUserLink, sealTokens } from './user-links.ts'
import {
  saveVerified,
  verifyInstallations,
  type VerifiedInstallation,
} from './verify-installations.ts'

/** How long somebody may take at GitHub. */
const CONNECT_MS = 15 * 60 * 1000

/** Where somebody is sent who wanted nowhere in particular. */
export const STATUS_PAGE = '/integrations/github'

const connectTrip = z.object({
  organizationId: z.string(),
  integrationId: z.string(),
  verifier: z.string(),
  returnTo: z.string(),
})

const installTrip = z.object({ integrationId: z.string(), returnTo: z.string() })

interface StartConnect {
  organizationId: string
  traveller: Traveller
  /** Null: the first App that the organization may use. */
  integrationId: string | null
  returnTo: string | null
}

/**
 * Begins to connect a person's account: `url` is where the browser goes, `installUrl` where the App is installed (null
 * while GitHub has not told its name). Throws `integration.none`, `integration.not_found`, `integration.not_usable`.
 */
export async function startConnect(
  deps: IntegrationDeps,
  start: StartConnect,
  signal: AbortSignal,
): Promise<{ url: string; installUrl: string | null }> {
  const { organizationId, traveller } = start
  const row = await chooseApp(deps.db, organizationId, start.integrationId)
  const app = await loadGithubApp(deps, row.id)
  const returnTo = safeReturnPath(start.returnTo ?? STATUS_PAGE)
  const verifier = randomBytes(32).toString('base64url')
  const common = { traveller, lifetimeMs: CONNECT_MS }
  const state = await beginTrip(deps, {
    ...common,
    purpose: 'github.start',
    request: { organizationId, integrationId: row.id, verifier, returnTo },
  })
  const url = deps.github.authorizationUrl(app, {
    state,
    codeChallenge: createHash('sha256').update(verifier).digest('base64url'),
    redirectUri: callbackUrl(deps),
  })
  const slug = await findSlug(deps, row, app, signal)
  if (slug === null) return { url, installUrl: null }
  const installState = await beginTrip(deps, {
    ...common,
    purpose: 'github.setup',
    request: { integrationId: row.id, returnTo },
  })
  const installUrl = `${app.webUrl}/apps/${slug}/installations/new?state=${installState}`
  return { url, installUrl }
}

/** The name in the App's addresses. That of the App from the environment is known once GitHub was asked. */
async function findSlug(
  deps: IntegrationDeps,
  row: AppRow,
  app: GithubApp,
  signal: AbortSignal,
): Promise<string | null> {
  if (app.slug !== '') return app.slug
  try {
    return (await noteAppFacts(deps, row, await deps.github.readApp(app, signal))).slug
  } catch (error) {
    if (isOperationError(error)) return null
    throw error
  }
}

/** Fixed codes for the page that the browser is sent to; nothing of GitHub's. */
export type ConnectError =
  | 'state_invalid'
  | 'denied'
  | 'refused'
  | 'unavailable'
  | 'app_unavailable'
  | 'linked_to_other'

export type ConnectEnd =
  | { kind: 'connected'; returnTo: string }
  | { kind: 'refused'; returnTo: string; error: ConnectError }

interface Callback {
  traveller: Traveller
  state: string | null
  code: string | null
  error: string | null
  by: Actor
}

/** Ends it: GitHub says who the person is there and what they reach, and both are stored. */
export async function finishConnect(
  deps: IntegrationDeps,
  callback: Callback,
  signal: AbortSignal,
): Promise<ConnectEnd> {
  const { traveller, state, code } = callback
  const request = await endTrip(deps, { purpose: 'github.start', traveller, state })
  if (request === undefined) {
    return { kind: 'refused', returnTo: STATUS_PAGE, error: 'state_invalid' }
  }
  const { organizationId, integrationId, verifier, returnTo } = connectTrip.parse(request)
  const refused = (error: ConnectError): ConnectEnd => ({ kind: 'refused', returnTo, error })
  if (callback.error !== null) {
    return refused(callback.error === 'access_denied' ? 'denied' : 'refused')
  }
  if (code === null) return refused('refused')
  try {
    const app = await loadGithubApp(deps, integrationId)
    const exchange = { code, codeVerifier: verifier, redirectUri: callbackUrl(deps) }
    const tokens = await deps.github.exchangeCode(app, exchange, signal)
    const { userId } = traveller
    const account = await deps.github.readUser(app, tokens.accessToken, signal)
    const person = { userId, githubUserId: account.id, token: tokens.accessToken }
    const verified = await verifyInstallations(deps, app, person, signal)
    const store = { organizationId, app, tokens, account, verified, callback }
    const linked = await storeLink(deps, store)
    if (linked === 'linked_to_other') return refused('linked_to_other')
    await reactivateLinksOf(deps, app, person, signal)
    return { kind: 'connected', returnTo }
  } catch (error) {
    return refused(codeOf(error))
  }
}

function codeOf(error: unknown): ConnectError {
  if (isUniqueViolation(error)) return 'linked_to_other'
  if (!isOperationError(error)) throw error
  const isOfApp = ['github.app_refused', 'github.unusable_key'].includes(error.code)
  if (isOfApp || error.code.startsWith('integration.')) return 'app_unavailable'
  if (['github.refused', 'github.not_found'].includes(error.code)) return 'refused'
  if (error.code.startsWith('github.')) return 'unavailable'
  throw error
}

interface StoreLink {
  organizationId: string
  app: GithubApp
  tokens: UserTokens
  account: { id: number; login: string }
  verified: readonly VerifiedInstallation[]
  callback: Callback
}

async function storeLink(
  deps: IntegrationDeps,
  { organizationId, app, tokens, account, verified, callback }: StoreLink,
): Promise<'stored' | 'linked_to_other'> {
  const { integrationId } = app
  const { userId } = callback.traveller
  const known = await readUserLink(deps.db, integrationId, userId)
  const id = known?.id ?? deps.newId()
  const now = toIsoTime(deps.clock.now())
  const columns = {
    github_user_id: account.id,
    github_login: account.login,
    ...sealTokens(deps, id, tokens),
    lease_token: null,
    lease_expires_at: null,
    updated_at: now,
  }
  return await inTransaction(deps.db, async (tx: Tx) => {
    const owner = await findLinkByGithubUser(tx, integrationId, account.id)
    if (owner !== undefined && owner.local_user_id !== userId) return 'linked_to_other'
    // Another account at GitHub has no part in what the one before it was let.
    if (known !== undefined && known.github_user_id !== account.id) {
      await forgetReach(deps, tx, known)
    }
    await tx
      .insertInto('github_user_links')
      .values({
        id,
        integration_id: integrationId,
        local_user_id: userId,
        ...columns,
        created_at: now,
      })
      .onConflict((on) => on.column('id').doUpdateSet(columns))
      .execute()
    const person = { userId, githubUserId: account.id }
    await saveVerified(tx, { integrationId, person, verified, newId: deps.newId, now })
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: callback.by,
      action: 'github.connected',
      target: { kind: 'github_app', id: integrationId, name: app.slug },
      details: { github_user_id: account.id, login: account.login, installations: verified.length },
    })
    return 'stored'
  })
}

function callbackUrl({ config }: Pick<IntegrationDeps, 'config'>): string {
  return `${config.publicBaseUrl}/api/integrations/github/callback`
}

/** What a state of `installUrl` stands for; undefined when it is not good. */
export async function endInstallTrip(
  deps: IntegrationDeps,
  trip: { traveller: Traveller; state: string | null },
): Promise<{ integrationId: string; returnTo: string } | undefined> {
  const request = await endTrip(deps, { ...trip, purpose: 'github.setup' })
  return request === undefined ? undefined : installTrip.parse(request)
}
