import type { DeploymentCause, DeploymentState } from '../database/schema.ts'
import { UNCANCELLABLE_STATES } from './deployment-state.ts'

/** A newer head waits this long for another one to follow, and the first of a burst at most `MAX_WAIT_MS`. */
const QUIET_MS = 2000
const MAX_WAIT_MS = 10_000
/** So often in a row a newer head cancels the active deployment: the next one runs to its end. */
const MAX_CANCELLED_IN_A_ROW = 2

interface RequestFacts {
  now: number
  /** Whether a deployment of the project is active. */
  busy: boolean
  lastStartedAt: number | null
  /** Since when the pending one that this request replaces has been waiting. */
  waitingSince: number | null
}

/** When a new request may start: a lone one at once, one of a burst when the burst calms down. */
export function planStart(facts: RequestFacts): { notBefore: number; debounceSince: number } {
  const { now, lastStartedAt, waitingSince } = facts
  const debounceSince = waitingSince ?? now
  const justStarted = lastStartedAt !== null && now - lastStartedAt < QUIET_MS
  const alone = !facts.busy && !justStarted && waitingSince === null
  const notBefore = alone ? now : Math.min(now + QUIET_MS, debounceSince + MAX_WAIT_MS)
  return { notBefore, debounceSince }
}

interface ClaimFacts {
  now: number
  pending: { notBefore: number; cause: DeploymentCause }
  active: { state: DeploymentState; cancelledInARow: number } | null
}

/** What to do with a pending deployment now. */
export function planClaim({
  now,
  pending,
  active,
}: ClaimFacts): 'start' | 'wait' | 'cancel_active' {
  if (now < pending.notBefore) return 'wait'
  if (active === null) return 'start'
  if (active.state === 'cancelling') return 'wait'
  if ((UNCANCELLABLE_STATES as readonly DeploymentState[]).includes(active.state)) return 'wait'
  // These bring no newer version: they follow what is running instead of ending it.
  if (pending.cause === 'configuration' || pending.cause === 'retry') return 'wait'
  return active.cancelledInARow >= MAX_CANCELLED_IN_A_ROW ? 'wait' : 'cancel_active'
}

/** Those that only start what exists already: they do not wait behind builds, and what ran with it runs no more. */
export const WITHOUT_BUILD = [
  'rollback',
  'configuration',
] as const satisfies readonly DeploymentCause[]

export function startsOnly(cause: DeploymentCause): boolean {
  return (WITHOUT_BUILD as readonly DeploymentCause[]).includes(cause)
}

const MAX_ATTEMPTS = 3
const FIRST_RETRY_MS = 5000

/** When a head whose attempt number `attempt` we ended ourselves is tried again; null when it was tried enough. */
export function planRetry(
  attempt: number,
  now: number,
): { attempt: number; notBefore: number } | null {
  if (attempt >= MAX_ATTEMPTS) return null
  return { attempt: attempt + 1, notBefore: now + FIRST_RETRY_MS * 4 ** (attempt - 1) }
}
