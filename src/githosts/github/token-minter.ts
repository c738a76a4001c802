import { z } from 'zod'

import { type Clock, toIsoTime } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { Secret } from '../../lib/secret.ts'
import type { GithubApp, InstallationToken, TokenOrder } from '../github-host.ts'
import type { AppCaller } from './app-jwt.ts'
import { type Answer, type Asker, expectSuccess, messageIn, read, refusal } from './ask.ts'
import { moment, positiveId, tokenText } from './facts.ts'
import { askWithFreshToken } from './fresh-token.ts'
import { goneError, type InstallationStanding } from './installation-standing.ts'
import { findExcess, keyOfToken, planToken, type TokenPlan } from './plan-token.ts'
import type { TokenMemory } from './secret-memory.ts'

/** A token is given out while it is good for so long, which a clone may take. */
const KEPT_UNTIL_MS = 300_000

export interface MintedToken extends InstallationToken {
  key: string
  mintedAtMs: number
  /** By our clock. */
  expiresAtMs: number
}

export interface TokenMinter {
  mint(app: GithubApp, order: TokenOrder, signal: AbortSignal): Promise<MintedToken>
  /** Not given out any more, whoever has it. */
  forget(token: MintedToken): void
  forgetInstallation(app: GithubApp, installationId: number): void
  revoke(app: GithubApp, token: Secret, signal: AbortSignal): Promise<void>
}

export interface MinterDeps {
  clock: Clock
  asker: Asker
  apps: AppCaller
  memory: TokenMemory
  standing: InstallationStanding
  log: Logger
}

export function createTokenMinter(deps: MinterDeps): TokenMinter {
  const kept = new Map<string, MintedToken>()
  const pending = new Map<string, Promise<MintedToken>>()
  const order = async (app: GithubApp, plan: TokenPlan, key: string): Promise<MintedToken> => {
    // Several may wait for it: none of them ends it for the others. The transport has its own deadlines.
    const minted = await orderToken(deps, app, plan, key, new AbortController().signal)
    deps.standing.check(app, plan.installationId)
    dropExpired(kept, deps.clock.now())
    kept.set(key, minted)
    return minted
  }
  return {
    mint: async (app, wanted, signal) => {
      const plan = planToken(wanted)
      deps.standing.check(app, plan.installationId)
      const key = keyOfToken(app, plan)
      const present = kept.get(key)
      if (present !== undefined && present.expiresAtMs - deps.clock.now() > KEPT_UNTIL_MS) {
        return present
      }
      const started = pending.get(key)
      if (started !== undefined) return await abortable(started, signal)
      const minting = order(app, plan, key).finally(() => pending.delete(key))
      // Whoever waits is told; that all of them went away is no failure of ours.
      minting.catch(() => {})
      pending.set(key, minting)
      return await abortable(minting, signal)
    },
    forget: (token) => {
      if (kept.get(token.key) === token) kept.delete(token.key)
    },
    forgetInstallation: (app, installationId) => {
      const start = JSON.stringify([app.apiUrl, app.appId, installationId]).slice(0, -1)
      for (const key of kept.keys()) if (key.startsWith(`${start},`)) kept.delete(key)
    },
    revoke: async (app, token, signal) => {
      for (const [key, { token: other }] of kept) {
        if (other.reveal() === token.reveal()) kept.delete(key)
      }
      await revokeToken(deps, app, token, signal)
    },
  }
}

function dropExpired(kept: Map<string, MintedToken>, now: number): void {
  for (const [key, { expiresAtMs }] of kept) if (expiresAtMs <= now) kept.delete(key)
}

async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

const tokenShape = z.object({
  token: tokenText,
  expires_at: moment,
  permissions: z.record(z.string(), z.string()),
  repository_selection: z.string().optional(),
  repositories: z.array(z.object({ id: positiveId })).optional(),
})

async function orderToken(
  deps: MinterDeps,
  app: GithubApp,
  plan: TokenPlan,
  key: string,
  signal: AbortSignal,
): Promise<MintedToken> {
  const { installationId, repositoryIds, permissions } = plan
  const path = `/app/installations/${installationId}/access_tokens`
  const body =
    repositoryIds === null ? { permissions } : { repository_ids: repositoryIds, permissions }
  const answer = await deps.apps.askAsApp(app, { method: 'POST', path, body }, signal)
  checkMinted(deps, app, installationId, answer)
  const given = read('get a token', answer, tokenShape)
  const token = new Secret(given.token)
  const theirs = Date.parse(given.expires_at)
  const expiresAtMs = theirs + (answer.skewMs ?? 0)
  deps.memory.keep(token, expiresAtMs)
  const excess = findExcess(plan, given)
  if (excess !== null) return await refuseWider(deps, app, { plan, token, excess }, signal)
  const mintedAtMs = deps.clock.now()
  return { token, expiresAt: toIsoTime(theirs), key, mintedAtMs, expiresAtMs }
}

/** Throws what a refusal of GitHub's says about the installation. */
function checkMinted(
  deps: Pick<MinterDeps, 'standing'>,
  app: GithubApp,
  installationId: number,
  answer: Answer,
): void {
  const message = messageIn(answer)
  const isSuspended = answer.status === 403 && /suspended/i.test(message)
  if (isSuspended || answer.status === 404) {
    const state = isSuspended ? 'suspended' : 'removed'
    deps.standing.noteRefused(app, installationId, state)
    throw goneError(installationId, state)
  }
  if (answer.status !== 422) return expectSuccess('get a token', answer)
  const refused = refusal(`get a token of the installation "${installationId}"`, answer)
  const code = /permission/i.test(message)
    ? 'github.permission_missing'
    : /not exist|not accessible/i.test(message)
      ? 'github.not_found'
      : refused.code
  throw new OperationError(code, refused.message)
}

async function refuseWider(
  deps: MinterDeps,
  app: GithubApp,
  wider: { plan: TokenPlan; token: Secret; excess: string },
  signal: AbortSignal,
): Promise<never> {
  const { plan, token, excess } = wider
  const { installationId } = plan
  let revoked = true
  try {
    await revokeToken(deps, app, token, signal, deps.clock.now())
  } catch (error) {
    revoked = false
    deps.log.error('wider token not revoked', { installationId, error: String(error) })
  }
  deps.log.error('wider token refused', { installationId, excess, revoked })
  throw new OperationError(
    'github.wider_token',
    `Cannot use the token of the installation "${installationId}": it is also for ${excess}, which was not asked for`,
  )
}

/** A token that GitHub does not know (any more) is as good as revoked. */
async function revokeToken(
  deps: Pick<MinterDeps, 'asker' | 'clock'>,
  app: GithubApp,
  token: Secret,
  signal: AbortSignal,
  mintedAtMs: number | null = null,
): Promise<void> {
  const question = {
    site: app,
    method: 'DELETE',
    path: '/installation/token',
    authorization: `Bearer ${token.reveal()}`,
    // What it counts against must not keep the App from asking for others.
    limitedBy: `${app.apiUrl} revocations ${app.appId}`,
  } as const
  const answer = await askWithFreshToken(deps, question, mintedAtMs, signal)
  if (answer.status === 401 || answer.status === 404) return
  expectSuccess('revoke a token', answer)
}
