/** What limits attempts: waits that grow after a few failures, or a number of failures in a time. */
export type ThrottleRule =
  | { kind: 'waits'; free: number; longestMs: number; forgottenAfterMs: number }
  | { kind: 'window'; limit: number; windowMs: number }

/** What is known of earlier failures. Of a window `updatedAt` is its beginning. */
export interface ThrottleFacts {
  failures: number
  blockedUntil: number | null
  updatedAt: number
}

export type AttemptPlan =
  | { kind: 'refused'; until: number }
  | { kind: 'allowed'; next: ThrottleFacts; waitBegins: boolean }

const FIRST_WAIT_MS = 1000

/**
 * Whether one more attempt may be made at `now`, and what is to be known afterwards. Every attempt counts as a failure
 * before its password is checked, so that many at once are not all free; one that succeeds is taken back.
 */
export function planAttempt(rule: ThrottleRule, facts: ThrottleFacts, now: number): AttemptPlan {
  return rule.kind === 'waits' ? planWait(rule, facts, now) : planWindow(rule, facts, now)
}

function planWait(
  rule: Extract<ThrottleRule, { kind: 'waits' }>,
  facts: ThrottleFacts,
  now: number,
): AttemptPlan {
  if (facts.blockedUntil !== null && facts.blockedUntil > now) {
    return { kind: 'refused', until: facts.blockedUntil }
  }
  const forgotten = now - facts.updatedAt >= rule.forgottenAfterMs
  const failures = forgotten ? 1 : facts.failures + 1
  const waits = failures >= rule.free
  const wait = Math.min(FIRST_WAIT_MS * 2 ** (failures - rule.free), rule.longestMs)
  const next = { failures, blockedUntil: waits ? now + wait : null, updatedAt: now }
  return { kind: 'allowed', next, waitBegins: waits }
}

function planWindow(
  rule: Extract<ThrottleRule, { kind: 'window' }>,
  facts: ThrottleFacts,
  now: number,
): AttemptPlan {
  const over = now - facts.updatedAt >= rule.windowMs
  if (over || facts.failures === 0) {
    const next = { failures: 1, blockedUntil: null, updatedAt: now }
    return { kind: 'allowed', next, waitBegins: false }
  }
  const until = facts.updatedAt + rule.windowMs
  if (facts.failures >= rule.limit) return { kind: 'refused', until }
  const failures = facts.failures + 1
  const next = { failures, blockedUntil: null, updatedAt: facts.updatedAt }
  return { kind: 'allowed', next, waitBegins: failures === rule.limit }
}
