import { z } from 'zod'

import { type Clock, toIsoTime } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import { Secret } from '../../lib/secret.ts'
import type { GithubApp, GithubHost, UserTokens } from '../github-host.ts'
import { type Answer, type Asker, read, refusal } from './ask.ts'
import { tokenText } from './facts.ts'
import type { TokenMemory } from './secret-memory.ts'

interface Deps {
  clock: Pick<Clock, 'now'>
  asker: Asker
  memory: TokenMemory
}

type OAuth = Pick<GithubHost, 'authorizationUrl' | 'exchangeCode' | 'refreshTokens'>

/** Authorization by OAuth 2 with PKCE. Throws `github.refused` when the person has to authorize again. */
export function createOAuth(deps: Deps): OAuth {
  const ask = async (app: GithubApp, fields: Record<string, string>, signal: AbortSignal) => {
    const answer = await deps.asker.ask(
      {
        site: app,
        base: 'web',
        method: 'POST',
        path: '/login/oauth/access_token',
        body: { client_id: app.clientId, client_secret: app.clientSecret.reveal(), ...fields },
        limitedBy: `${app.apiUrl} client ${app.clientId}`,
      },
      signal,
    )
    return toUserTokens(deps, answer)
  }
  return {
    authorizationUrl: (app, { state, codeChallenge, redirectUri }) => {
      const url = new URL(`${app.webUrl}/login/oauth/authorize`)
      url.search = new URLSearchParams({
        client_id: app.clientId,
        redirect_uri: redirectUri,
        state,
        code_challenge: codeChallenge,
        code_challenge_method: 'S256',
      }).toString()
      return url.href
    },
    exchangeCode: async (app, { code, codeVerifier, redirectUri }, signal) => {
      const fields = { code, code_verifier: codeVerifier, redirect_uri: redirectUri }
      return await ask(app, fields, signal)
    },
    refreshTokens: async (app, refreshToken, signal) => {
      const fields = { grant_type: 'refresh_token', refresh_token: refreshToken.reveal() }
      return await ask(app, fields, signal)
    },
  }
}

/** Errors that are about the code or the token that was sent; all others are about the App. */
const ABOUT_THE_PERSON: readonly string[] = ['bad_verification_code', 'bad_refresh_token']

const seconds = z.int().positive().max(400_000_000)
const tokensShape = z.object({
  access_token: tokenText,
  expires_in: seconds.optional(),
  refresh_token: tokenText.optional(),
  refresh_token_expires_in: seconds.optional(),
})
const errorShape = z.object({ error: z.string().regex(/^[a-z_]{1,64}$/) })

/** An error comes with the status of a success. */
function toUserTokens(deps: Deps, answer: Answer): UserTokens {
  const failed = errorShape.safeParse(answer.json)
  if (failed.success) {
    const { error } = failed.data
    const code = ABOUT_THE_PERSON.includes(error) ? 'github.refused' : 'github.app_refused'
    throw new OperationError(code, `Cannot get a token of a person: GitHub answered "${error}"`)
  }
  // What is about the person has a name; any other refusal must not cost them their link.
  if (answer.status > 299) {
    const { message } = refusal('get a token of a person', answer)
    throw new OperationError('github.app_refused', message)
  }
  const found = read('get a token of a person', answer, tokensShape)
  const now = deps.clock.now()
  const until = (lifetime: number | undefined) =>
    lifetime === undefined ? null : now + lifetime * 1000
  const keep = (value: string, ms: number | null) => {
    const token = new Secret(value)
    deps.memory.keep(token, ms)
    return token
  }
  const expires = until(found.expires_in)
  const refreshExpires = until(found.refresh_token_expires_in)
  const { access_token: access, refresh_token: refresh } = found
  return {
    accessToken: keep(access, expires),
    expiresAt: expires === null ? null : toIsoTime(expires),
    refreshToken: refresh === undefined ? null : keep(refresh, refreshExpires),
    refreshExpiresAt: refreshExpires === null ? null : toIsoTime(refreshExpires),
  }
}
