import type { Actor } from '../../audit/actor.ts'
import type { Role } from '../../database/schema.ts'
import type { Clock } from '../../lib/clock.ts'
import type { NewId } from '../../lib/ids.ts'
import type { Logger } from '../../lib/logger.ts'

/** What turns records of Clerk into people, organizations and members. */
export interface ClerkProjection {
  clock: Clock
  newId: NewId
  log: Logger
  config: {
    /** Clerk's issuer, when people may sign in with it. */
    clerkIssuer: string | null
    /** Clerk's name of a role → ours. */
    clerkRoles: Readonly<Record<string, Role>>
  }
  by: Actor
}
