import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { RouteId } from '../contract/routes.ts'
import { actorOf, type Principal } from '../identity/principal.ts'
import type { HttpApp } from './http-app.ts'

export interface RefusedAttempt {
  principal: Principal
  address: string | null
  requestId: string
  routeId: RouteId
  /** What would have been needed. */
  needed: string
  target?: { kind: string; id: string }
  /** The target belongs to another organization than the one in which they ask. */
  isElsewhere?: boolean
}

export interface RefusedAttempts {
  /**
   * Audits an attempt, at most once a minute for each asker and route: nobody floods the audit. What was tried in
   * another organization is the operator's to see alone: in their own audit people would read that it exists.
   */
  note(attempt: RefusedAttempt): Promise<void>
}

const SAME_WITHIN_MS = 60_000
const MAX_REMEMBERED = 10_000

export function createRefusedAttempts(
  deps: Pick<HttpApp, 'db' | 'clock' | 'newId'>,
): RefusedAttempts {
  // In the order in which they were noted.
  const notedAt = new Map<string, number>()
  return {
    note: async (attempt) => {
      const { principal, routeId, needed, target, isElsewhere = false } = attempt
      const by = actorOf(principal, attempt)
      // By itself: what is missing in the own audit would tell of it too.
      const where = isElsewhere ? 'elsewhere' : 'here'
      const key = `${by.kind} ${by.id ?? ''} ${routeId} ${where}`
      const now = deps.clock.now()
      if (now - (notedAt.get(key) ?? -Infinity) < SAME_WITHIN_MS) return
      notedAt.delete(key)
      notedAt.set(key, now)
      const [oldest] = notedAt.keys()
      if (notedAt.size > MAX_REMEMBERED && oldest !== undefined) notedAt.delete(oldest)
      await recordAuditEvent(deps, deps.db, {
        organizationId: isElsewhere ? null : (principal.membership?.organizationId ?? null),
        by,
        action: 'request.refused',
        outcome: 'refused',
        ...(target === undefined ? {} : { target }),
        details: { route: routeId, needed },
      })
    },
  }
}
