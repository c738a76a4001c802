import type { Database } from '../database/database.ts'
import type { Clock } from '../lib/clock.ts'
import { authenticateToken } from './authenticate-token.ts'
import { readMembership } from './memberships.ts'
import { DEFAULT_ORGANIZATION_SLUG } from './organizations.ts'
import type { Principal } from './principal.ts'
import type { SessionCookies } from './sign-in/session-cookie.ts'
import { authenticateSession } from './sign-in/sessions.ts'

/** How a request names an organization. */
export type OrganizationName = { id: string } | { slug: string }

/** Sessions of Clerk, when it is configured. */
export interface ClerkSessions {
  /** Whose session a JWT stands for; null for one that is not Clerk's, or of a person whom we do not know. */
  authenticate(jwt: string): Promise<{
    userId: string
    name: string
    email: string
    /** The one that is active in this session; null when none is. */
    organization: { id: string } | null
  } | null>
}

export interface AuthenticateDeps {
  db: Database
  clock: Clock
  cookies: SessionCookies
  clerkSessions: ClerkSessions | null
}

/** What a request says about who asks. */
export interface Credentials {
  /** `operator`: over the Unix socket that only this machine's operator can open. */
  channel: 'operator' | 'network'
  authorization: string | null
  cookieHeader: string | null
  /** In which organization; null: as the asker is used to. */
  organization: OrganizationName | null
}

export type Authentication =
  | {
      kind: 'known'
      principal: Principal
      /** A browser sends it by itself: what changes something must then come from our own pages. */
      byCookie: boolean
      /** To be sent along with the answer. */
      renewedCookie: string | null
    }
  /** Known, but the organization that was named is none of theirs; null is the operator. */
  | { kind: 'elsewhere'; principal: Principal | null; byCookie: boolean }
  | { kind: 'nobody' }

/**
 * Who asks. Exactly one kind of credential counts: the operator's socket, else the `Authorization` header, else the
 * session's cookie. What is wrong with one is not told, and another one does not make up for it.
 */
export async function authenticate(
  deps: AuthenticateDeps,
  credentials: Credentials,
): Promise<Authentication> {
  const { authorization, organization } = credentials
  if (credentials.channel === 'operator') return await asOperator(deps.db, organization)
  if (authorization === null) return await bySession(deps, credentials)
  const bearer = /^Bearer ([^\s]+)$/i.exec(authorization)?.[1]
  if (bearer === undefined) return { kind: 'nobody' }
  if (bearer.startsWith('nsk_')) return await byToken(deps, bearer, organization)
  const person = (await deps.clerkSessions?.authenticate(bearer)) ?? null
  if (person === null) return { kind: 'nobody' }
  const { organization: active, ...found } = { ...person, via: { kind: 'clerk' } as const }
  const session = { byCookie: false, renewedCookie: null }
  return await asPerson(deps.db, found, organization ?? active, session)
}

async function asOperator(
  db: Database,
  organization: OrganizationName | null,
): Promise<Authentication> {
  const found = await findOrganization(db, organization ?? { slug: DEFAULT_ORGANIZATION_SLUG })
  if (found === undefined) return { kind: 'elsewhere', principal: null, byCookie: false }
  const membership = {
    organizationId: found.id,
    role: 'owner' as const,
    reach: { kind: 'all' as const },
  }
  const principal: Principal = { kind: 'operator', membership }
  return { kind: 'known', principal, byCookie: false, renewedCookie: null }
}

/** A token is bound to its organization: another one that the request names is never quietly replaced by it. */
async function byToken(
  deps: AuthenticateDeps,
  token: string,
  organization: OrganizationName | null,
): Promise<Authentication> {
  const principal = await authenticateToken(deps, token)
  if (principal === null) return { kind: 'nobody' }
  const own = principal.membership?.organizationId
  if (organization !== null && (await findOrganization(deps.db, organization))?.id !== own) {
    return { kind: 'elsewhere', principal, byCookie: false }
  }
  return { kind: 'known', principal, byCookie: false, renewedCookie: null }
}

async function bySession(
  deps: AuthenticateDeps,
  { cookieHeader, organization }: Credentials,
): Promise<Authentication> {
  const session = await authenticateSession(deps, cookieHeader)
  if (session === null) return { kind: 'nobody' }
  const { sessionId, userId, name, email, renewedCookie } = session
  const person = { userId, name, email, via: { kind: 'session' as const, sessionId } }
  return await asPerson(deps.db, person, organization, { byCookie: true, renewedCookie })
}

async function asPerson(
  db: Database,
  person: Omit<Extract<Principal, { kind: 'user' }>, 'kind' | 'membership'>,
  organization: OrganizationName | null,
  session: { byCookie: boolean; renewedCookie: string | null },
): Promise<Authentication> {
  const membership = await readMembership(db, person.userId, organization)
  if (membership !== null || organization === null) {
    return { kind: 'known', principal: { kind: 'user', ...person, membership }, ...session }
  }
  const usual = await readMembership(db, person.userId, null)
  const principal: Principal = { kind: 'user', ...person, membership: usual }
  return { kind: 'elsewhere', principal, byCookie: session.byCookie }
}

function findOrganization(
  db: Database,
  name: OrganizationName,
): Promise<{ id: string } | undefined> {
  const query = db.selectFrom('organizations').select('id')
  return 'id' in name
    ? query.where('id', '=', name.id).executeTakeFirst()
    : query.where('slug', '=', name.slug).executeTakeFirst()
}
