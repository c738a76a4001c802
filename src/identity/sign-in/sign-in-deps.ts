import type { Actor } from '../../audit/actor.ts'
import type { AuditAction } from '../../audit/audit-actions.ts'
import { recordAuditEvent } from '../../audit/record-audit-event.ts'
import type { Database, Tx } from '../../database/database.ts'
import type { AuditOutcome } from '../../database/schema.ts'
import type { Clock } from '../../lib/clock.ts'
import type { NewId } from '../../lib/ids.ts'
import { readMembership } from '../memberships.ts'
import type { Person } from '../people.ts'
import type { LibraryRequest, SignIn } from './create-sign-in.ts'

export interface SignInDeps {
  db: Database
  clock: Clock
  newId: NewId
  signIn: SignIn
}

/** What is known of the browser that asks. */
export interface BrowserRequest {
  cookieHeader: string | null
  address: string | null
  /** By which attempts are counted: an IPv4 address, or the /64 of an IPv6 one. */
  network: string | null
  userAgent: string | null
  requestId: string | null
}

/** An answer with cookies beside it. */
export interface CookieAnswer<Body> {
  body: Body
  /** `Set-Cookie` values. */
  setCookies: string[]
}

export function libraryRequest(
  request: BrowserRequest,
  body: object,
  cookie: string | null,
): LibraryRequest {
  return { body, cookie, address: request.address, userAgent: request.userAgent }
}

/** A person as the audit names whoever acts. */
export function actorOfPerson(person: Pick<Person, 'id' | 'email'>, from: BrowserRequest): Actor {
  const { address, requestId } = from
  return { kind: 'user', id: person.id, name: person.email, address, requestId }
}

/** Somebody of whom nothing is known but where they are. */
export function stranger(from: BrowserRequest): Actor {
  const { address, requestId } = from
  return { kind: 'anonymous', id: null, name: null, address, requestId }
}

/** Notes what concerns a person, in the organization that they have been in longest. */
export async function auditPerson(
  deps: { clock: Clock; newId: NewId },
  tx: Tx | Database,
  event: {
    person: Pick<Person, 'id' | 'email'>
    by: Actor
    action: AuditAction
    outcome?: AuditOutcome
    details?: Record<string, unknown>
  },
): Promise<void> {
  const { person, by, action, outcome = 'done', details = {} } = event
  const membership = await readMembership(tx, person.id, null)
  await recordAuditEvent(deps, tx, {
    organizationId: membership?.organizationId ?? null,
    by,
    action,
    outcome,
    target: { kind: 'user', id: person.id, name: person.email },
    details,
  })
}
