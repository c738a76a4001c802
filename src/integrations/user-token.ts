import type { GithubApp } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, OperationError } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { needsReconnect, openToken, readUserLink, sealTokens, type UserLink } from './user-links.ts'

/** A token that lasts no longer than this is renewed first. */
const RENEW_BEFORE_MS = 5 * 60 * 1000
/** Longer than GitHub may take to answer. */
const LEASE_MS = 60 * 1000
const WAIT_MS = 100
const MAX_WAITS = 300

type Deps = Pick<IntegrationDeps, 'db' | 'clock' | 'newId' | 'keyring' | 'github'>

/**
 * A token of GitHub that acts as this person, renewed when it is about to end. A renewal ends the tokens before it, so
 * one process at a time does it and stores what came before anybody uses it. Throws `github.not_connected`,
 * `github.reconnect_needed`, and what asking GitHub throws.
 */
export async function userAccessToken(
  deps: Deps,
  app: GithubApp,
  userId: string,
  signal: AbortSignal,
): Promise<Secret> {
  for (let waits = 0; waits < MAX_WAITS; waits += 1) {
    const link = await readUserLink(deps.db, app.integrationId, userId)
    if (link === undefined) throw notConnected()
    const now = deps.clock.now()
    if (needsReconnect(link, now)) throw reconnectNeeded(link)
    if (!endsSoon(link, now)) return openAccessToken(deps, link)
    const lease = await takeLease(deps, link)
    if (lease !== null) return await renew(deps, app, { link, lease }, signal)
    await deps.clock.sleep(WAIT_MS, signal)
  }
  throw new OperationError(
    'github.busy',
    'Cannot act as this person at GitHub: their token is being renewed for too long',
    { retryAfterSeconds: 10 },
  )
}

function endsSoon(link: UserLink, now: number): boolean {
  const { token_expires_at: expires, refresh_token_sealed: refresh } = link
  return expires !== null && refresh !== null && expires <= toIsoTime(now + RENEW_BEFORE_MS)
}

function openAccessToken(deps: Pick<Deps, 'keyring'>, link: UserLink): Secret {
  const token = openToken(deps, link, 'access_token_sealed')
  if (token === null) throw reconnectNeeded(link)
  return token
}

/** One process at a time, and only while the tokens are those that were read. */
async function takeLease(deps: Deps, link: UserLink): Promise<string | null> {
  const lease = deps.newId()
  const now = deps.clock.now()
  const taken = await deps.db
    .updateTable('github_user_links')
    .set({ lease_token: lease, lease_expires_at: toIsoTime(now + LEASE_MS) })
    .where('id', '=', link.id)
    .where('access_token_sealed', '=', link.access_token_sealed)
    .where((of) =>
      of.or([of('lease_token', 'is', null), of('lease_expires_at', '<=', toIsoTime(now))]),
    )
    .returning('id')
    .executeTakeFirst()
  return taken === undefined ? null : lease
}

async function renew(
  deps: Deps,
  app: GithubApp,
  { link, lease }: { link: UserLink; lease: string },
  signal: AbortSignal,
): Promise<Secret> {
  const refreshToken = openToken(deps, link, 'refresh_token_sealed')
  if (refreshToken === null) throw reconnectNeeded(link)
  const free = { lease_token: null, lease_expires_at: null }
  try {
    // Whoever asked may be gone: what GitHub has renewed must be stored all the same.
    const tokens = await deps.github.refreshTokens(
      app,
      refreshToken,
      AbortSignal.timeout(LEASE_MS / 2),
    )
    const sealed = sealTokens(deps, link.id, tokens)
    await update(deps, { link, lease }, { ...sealed, ...free })
    signal.throwIfAborted()
    return tokens.accessToken
  } catch (error) {
    if (isOperationError(error, 'github.refused')) {
      const now = toIsoTime(deps.clock.now())
      const spent = { token_expires_at: now, refresh_token_sealed: null, refresh_expires_at: null }
      await update(deps, { link, lease }, { ...spent, ...free })
      throw reconnectNeeded(link)
    }
    await update(deps, { link, lease }, free)
    // What is left of the old one may still do.
    const ends = link.token_expires_at
    if (isOperationError(error) && ends !== null && ends > toIsoTime(deps.clock.now())) {
      return openAccessToken(deps, link)
    }
    throw error
  }
}

async function update(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  { link, lease }: { link: UserLink; lease: string },
  change: Partial<UserLink>,
): Promise<void> {
  await db
    .updateTable('github_user_links')
    .set({ ...change, updated_at: toIsoTime(clock.now()) })
    .where('id', '=', link.id)
    .where('lease_token', '=', lease)
    .execute()
}

/**
 * GitHub refuses a token that should be good: the person took back what they allowed. Tokens that came in the place of
 * the refused one, when they connected again meanwhile, stay.
 */
export async function noteRefusedToken(
  deps: Pick<Deps, 'db' | 'clock' | 'keyring'>,
  integrationId: string,
  userId: string,
  refused: Secret,
): Promise<void> {
  const link = await readUserLink(deps.db, integrationId, userId)
  if (link === undefined) return
  if (openToken(deps, link, 'access_token_sealed')?.reveal() !== refused.reveal()) return
  const now = toIsoTime(deps.clock.now())
  await deps.db
    .updateTable('github_user_links')
    .set({ token_expires_at: now, refresh_token_sealed: null, refresh_expires_at: null })
    .where('id', '=', link.id)
    .where('access_token_sealed', '=', link.access_token_sealed)
    .execute()
}

export function notConnected(): OperationError {
  return new OperationError(
    'github.not_connected',
    'Cannot act for you at GitHub: your account there is not connected',
  )
}

function reconnectNeeded({ github_login }: UserLink): OperationError {
  return new OperationError(
    'github.reconnect_needed',
    `Cannot act as "${github_login}" at GitHub: the connection has ended, so connect again`,
  )
}
