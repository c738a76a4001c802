import { PERMISSIONS } from '../contract/permissions.ts'
import type { RouteDefinition } from '../contract/route.ts'
import { ROUTES, type RouteId } from '../contract/routes.ts'
import {
  authenticate,
  type Authentication,
  type OrganizationName,
} from '../identity/authenticate.ts'
import type { Principal } from '../identity/principal.ts'
import { OperationError } from '../lib/errors.ts'
import { authorize, organizationNotFound } from './authorize.ts'
import { checkOrigin, needsOrigin } from './check-origin.ts'
import { networkOf } from './client-address.ts'
import type { HttpApp } from './http-app.ts'
import { createRateLimiter } from './rate-limiter.ts'
import { createRefusedAttempts } from './refused-attempts.ts'

/** A request, as far as it decides who may go on. */
export interface Ask {
  routeId: RouteId
  channel: 'operator' | 'network'
  /** `{id}` of the address. */
  subjectId: string | null
  headers: Headers
  address: string | null
  requestId: string
}

export interface Admitted {
  /** Null on public routes alone. */
  principal: Principal | null
  /** A `Set-Cookie` value that keeps a session. */
  renewedCookie: string | null
}

export interface Admission {
  /** Lets a request in, or throws why not. Counts it against the limits. */
  admit(ask: Ask): Promise<Admitted>
  /** Throws when who was let in would not be any more, as the same in the same organization: for streams. */
  confirm(ask: Ask, admitted: Principal | null): Promise<void>
}

type AdmissionDeps = Pick<HttpApp, 'db' | 'clock' | 'newId' | 'signIn' | 'clerkSessions' | 'config'>

/** Of one network without a valid credential. */
const STRANGERS_PER_MINUTE = 120
/** A Git host or Clerk sends bursts from few addresses. */
const HOOKS_PER_MINUTE = 3000

/** What watches over this process asks often, and works while the database does not. */
const ALWAYS_OPEN: ReadonlySet<RouteId> = new Set(['health', 'readiness'])

/** Who may go on with a request: the one place that all of them pass. */
export function createAdmission(deps: AdmissionDeps): Admission {
  const refused = createRefusedAttempts(deps)
  const limit = createLimits(deps)
  return {
    admit: async (ask) => {
      if (ALWAYS_OPEN.has(ask.routeId)) return { principal: null, renewedCookie: null }
      const authentication = await identify(deps, ask)
      limit(ask, authentication)
      const byCookie = authentication.kind !== 'nobody' && authentication.byCookie
      if (needsOrigin(originFacts(ask, byCookie))) {
        checkOrigin(ask.headers, deps.config.publicBaseUrl)
      }
      const asked = { ...ask, organization: organizationOf(ask) }
      const principal = await authorize({ db: deps.db, refused }, authentication, asked)
      const renewedCookie = authentication.kind === 'known' ? authentication.renewedCookie : null
      return { principal, renewedCookie }
    },
    confirm: async (ask, admitted) => {
      const asked = { ...ask, organization: organizationOf(ask) }
      const principal = await authorize({ db: deps.db, refused }, await identify(deps, ask), asked)
      // Which organization is usual may change: what began in one is not gone on with in another.
      const began = admitted?.membership?.organizationId
      if (began === principal?.membership?.organizationId) return
      throw organizationNotFound(began === undefined ? null : { id: began })
    },
  }
}

function identify(deps: AdmissionDeps, ask: Ask): Promise<Authentication> {
  return authenticate(
    { ...deps, cookies: deps.signIn.cookies },
    {
      channel: ask.channel,
      authorization: ask.headers.get('authorization'),
      cookieHeader: ask.headers.get('cookie'),
      organization: organizationOf(ask),
    },
  )
}

/** The address names the organization where it can; else a header, else it is the usual one of the asker. */
function organizationOf(ask: Ask): OrganizationName | null {
  if (PERMISSIONS[ask.routeId].subject === 'organization' && ask.subjectId !== null) {
    return { id: ask.subjectId }
  }
  const slug = ask.headers.get('x-nanoscale-organization') ?? ''
  return slug === '' ? null : { slug }
}

function originFacts(ask: Ask, byCookie: boolean) {
  return {
    route: ROUTES[ask.routeId] as RouteDefinition,
    channel: ask.channel,
    isPublic: PERMISSIONS[ask.routeId].who === 'everyone',
    byCookie,
    hasAuthorization: ask.headers.has('authorization'),
  }
}

/** Counts each token and session by itself, and everybody else by their network. Throws `http.rate_limited`. */
function createLimits(deps: AdmissionDeps) {
  const known = createRateLimiter(deps.clock, deps.config.requestsPerMinute)
  const strangers = createRateLimiter(deps.clock, STRANGERS_PER_MINUTE)
  const hooks = createRateLimiter(deps.clock, HOOKS_PER_MINUTE)
  return (ask: Ask, authentication: Authentication): void => {
    const route: RouteDefinition = ROUTES[ask.routeId]
    const principal = authentication.kind === 'nobody' ? null : authentication.principal
    if (ask.channel === 'operator') return
    const network = ask.address === null ? 'unknown' : networkOf(ask.address)
    const stranger = route.body === 'raw' ? hooks : strangers
    const taken = principal === null ? stranger.take(network) : known.take(credentialOf(principal))
    if (taken.kind === 'taken') return
    const { retryAfterSeconds } = taken
    throw new OperationError(
      'http.rate_limited',
      `Cannot answer so many requests: wait ${retryAfterSeconds} s`,
      { retryAfterSeconds },
    )
  }
}

/** Names the session, token or person that a limit counts for. */
export function credentialOf(principal: Principal): string {
  if (principal.kind === 'operator') return 'operator'
  if (principal.kind === 'token') return `token ${principal.tokenId}`
  const { via, userId } = principal
  return via.kind === 'session' ? `session ${via.sessionId}` : `user ${userId}`
}
