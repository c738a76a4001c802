import {
  createRemoteJWKSet,
  customFetch,
  errors,
  importSPKI,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose'

import type { Database } from '../../database/database.ts'
import type { Clock } from '../../lib/clock.ts'
import { messageOf, OperationError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'

const ALGORITHM = 'RS256'
const TOLERANCE_SECONDS = 5
const FETCH_TIMEOUT_MS = 5000
const MAX_JWKS_BYTES = 65_536
/** Keys are fetched at most this often, whatever key ids people make up. */
const COOLDOWN_MS = 30_000
/** After a failure nobody else waits for the same failure. */
const RETRY_AFTER_MS = 10_000
/** Session tokens are about 1 KiB. */
const MAX_TOKEN_LENGTH = 8192

export interface ClerkSessionsDeps {
  db: Database
  clock: Clock
  log: Logger
  config: {
    clerkIssuer: string
    /** Null: `/.well-known/jwks.json` of the issuer. */
    clerkJwksUrl: string | null
    /** An RSA public key as PEM; nothing is fetched then. */
    clerkJwtKey: string | null
    /** Origins whose tokens are accepted; empty: all that the issuer signed. */
    clerkAuthorizedParties: readonly string[]
  }
}

export interface ClerkSessionPerson {
  userId: string
  name: string
  email: string
  /** The one that is active in this session; one that we do not know is the id of nothing. Null: none is active. */
  organization: { id: string } | null
}

export interface ClerkSessions {
  /**
   * Whose session a token of Clerk stands for; null for what is not a valid one, or of a person whom we do not know.
   * Throws `clerk.keys_unavailable` while the keys that it is checked with cannot be fetched.
   */
  authenticate: (token: string) => Promise<ClerkSessionPerson | null>
}

/** Accepts the session tokens of Clerk's own pages. What somebody may is never taken from them. */
export function createClerkSessions(deps: ClerkSessionsDeps): ClerkSessions {
  const findKey = createKeys(deps)
  return {
    authenticate: async (token) => {
      if (token.length > MAX_TOKEN_LENGTH) return null
      const claims = await verify(deps, findKey, token)
      return claims === null ? null : await findPerson(deps.db, claims)
    },
  }
}

interface SessionClaims {
  clerkUserId: string
  clerkOrgId: string | null
}

async function verify(
  { clock, config }: ClerkSessionsDeps,
  findKey: JWTVerifyGetKey,
  token: string,
): Promise<SessionClaims | null> {
  try {
    const { payload } = await jwtVerify(token, findKey, {
      algorithms: [ALGORITHM],
      issuer: config.clerkIssuer,
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(clock.now()),
      requiredClaims: ['exp', 'sub', 'sid'],
    })
    return readClaims(payload, config.clerkAuthorizedParties)
  } catch (error) {
    // Whoever made the token knows what is wrong with it; whoever did not need not.
    if (error instanceof errors.JOSEError) return null
    throw error
  }
}

/**
 * The same keys sign other tokens too: identity tokens and access tokens for other applications. Those have an
 * audience, or no session.
 */
function readClaims(
  payload: JWTPayload,
  authorizedParties: readonly string[],
): SessionClaims | null {
  const { sub, azp, sid, aud, sts } = payload
  if (sub === undefined || aud !== undefined) return null
  if (typeof sid !== 'string' || !sid.startsWith('sess_')) return null
  // Signed in, but a step is missing that Clerk asks for, such as choosing an organization.
  if (sts === 'pending') return null
  if (authorizedParties.length > 0) {
    if (typeof azp !== 'string' || !authorizedParties.includes(azp)) return null
  }
  return { clerkUserId: sub, clerkOrgId: activeOrganization(payload) }
}

/** Version 1 of the claims has `org_id`, version 2 has `o.id`. */
function activeOrganization({ org_id: first, o: second }: JWTPayload): string | null {
  if (typeof first === 'string') return first
  if (typeof second !== 'object' || second === null || !('id' in second)) return null
  return typeof second.id === 'string' ? second.id : null
}

async function findPerson(
  db: Database,
  { clerkUserId, clerkOrgId }: SessionClaims,
): Promise<ClerkSessionPerson | null> {
  const user = await db
    .selectFrom('users')
    .select(['id', 'name', 'email', 'clerk_primary_email'])
    .where('clerk_user_id', '=', clerkUserId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (user === undefined) return null
  const person = {
    userId: user.id,
    name: user.name,
    email: user.clerk_primary_email ?? user.email,
  }
  if (clerkOrgId === null) return { ...person, organization: null }
  const organization = await db
    .selectFrom('organizations')
    .select('id')
    .where('clerk_org_id', '=', clerkOrgId)
    .executeTakeFirst()
  // Never quietly another organization of theirs.
  return { ...person, organization: organization ?? { id: clerkOrgId } }
}

function createKeys(deps: ClerkSessionsDeps): JWTVerifyGetKey {
  const { clerkIssuer, clerkJwksUrl, clerkJwtKey } = deps.config
  if (clerkJwtKey !== null) {
    const key = importSPKI(clerkJwtKey, ALGORITHM)
    // Read when the first token comes; a key that is none was refused with the configuration.
    key.catch(() => {})
    return () => key
  }
  const url = clerkJwksUrl ?? `${clerkIssuer.replace(/\/$/, '')}/.well-known/jwks.json`
  const findKey = createRemoteJWKSet(new URL(url), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: COOLDOWN_MS,
    [customFetch]: createKeyFetch(deps),
  })
  return async (header, token) => {
    try {
      return await findKey(header, token)
    } catch (error) {
      if (isAboutToken(error)) throw error
      deps.log.error("Clerk's keys cannot be fetched", { url, reason: messageOf(error) })
      throw new OperationError(
        'clerk.keys_unavailable',
        'Cannot check this session of Clerk: its keys cannot be fetched now; try again',
        { cause: error },
      )
    }
  }
}

/** The keys are there; the token names none of them, or one of another kind. */
function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  )
}

type KeyFetch = NonNullable<
  NonNullable<Parameters<typeof createRemoteJWKSet>[1]>[typeof customFetch]
>

/** Reads at most 64 KiB and follows no redirect: an answer of another kind is a failure. */
function createKeyFetch({ clock }: Pick<ClerkSessionsDeps, 'clock'>): KeyFetch {
  let retryAt = 0
  return async (url, options) => {
    if (clock.now() < retryAt) throw new Error('The last attempt failed a moment ago')
    try {
      const response = await fetch(url, options)
      if (response.status !== 200) {
        await response.body?.cancel()
        throw new Error(`The answer has status ${response.status}`)
      }
      const bytes = await readLimited(response)
      if (!isKeySet(JSON.parse(bytes.toString()))) throw new Error('The answer is no set of keys')
      return new Response(bytes)
    } catch (error) {
      retryAt = clock.now() + RETRY_AFTER_MS
      throw error
    }
  }
}

function isKeySet(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'keys' in json && Array.isArray(json.keys)
}

async function readLimited(response: Response): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_JWKS_BYTES) throw new Error('The answer is over 64 KiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
