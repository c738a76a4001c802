import type { Actor } from '../audit/actor.ts'
import type { Role } from '../database/schema.ts'

/**
 * Which projects of the organization somebody reaches: all, or only those that `project_members` names for this
 * person. What is out of reach answers as if it did not exist.
 */
export type ProjectReach = { kind: 'all' } | { kind: 'selected'; userId: string }

/** What somebody may in one organization, as it is now and not when a session or token was made. */
export interface Membership {
  organizationId: string
  role: Role
  reach: ProjectReach
}

/**
 * Who asks. Everything that a request touches is looked up within `membership`; it is null for a person who belongs
 * to no organization (any more).
 */
export type Principal =
  | { kind: 'operator'; membership: Membership }
  | {
      kind: 'user'
      userId: string
      name: string
      email: string
      /** A browser's session, or a session of Clerk that a JWT stands for. */
      via: { kind: 'session'; sessionId: string } | { kind: 'clerk' }
      membership: Membership | null
    }
  | {
      kind: 'token'
      tokenId: string
      tokenName: string
      /** Null: the operator made it. */
      userId: string | null
      /** Of `contract/permissions.ts`; `*` is all that its maker may. */
      scopes: readonly string[]
      membership: Membership
    }

/** The same person or program, as the audit names it. */
export function actorOf(
  principal: Principal,
  request: { address: string | null; requestId: string | null },
): Actor {
  if (principal.kind === 'operator') return { kind: 'operator', id: null, name: null, ...request }
  return principal.kind === 'user'
    ? { kind: 'user', id: principal.userId, name: principal.email, ...request }
    : { kind: 'token', id: principal.tokenId, name: principal.tokenName, ...request }
}
