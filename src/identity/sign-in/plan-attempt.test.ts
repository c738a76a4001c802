import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { planAttempt, type ThrottleFacts, type ThrottleRule } from './plan-attempt.ts'

const WAITS: ThrottleRule = { kind: 'waits', free: 5, longestMs: 900_000, forgottenAfterMs: 1e9 }
const WINDOW: ThrottleRule = { kind: 'window', limit: 3, windowMs: 60_000 }
const NOTHING: ThrottleFacts = { failures: 0, blockedUntil: null, updatedAt: 0 }

/** Attempts as soon as each is allowed: the waits before them in seconds. */
function waits(count: number): number[] {
  let facts = NOTHING
  let now = 1000
  return Array.from({ length: count }, () => {
    const refused = planAttempt(WAITS, facts, now)
    const waited = refused.kind === 'refused' ? refused.until - now : 0
    now += waited
    const plan = planAttempt(WAITS, facts, now)
    if (plan.kind === 'allowed') facts = plan.next
    return waited / 1000
  })
}

describe('planAttempt()', () => {
  it('lets five attempts through, then makes one wait twice as long each time, 15 minutes at most', () => {
    assert.deepEqual(
      waits(18),
      [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900],
    )
  })

  it('forgets failures of long ago', () => {
    const facts = { failures: 40, blockedUntil: null, updatedAt: 0 }
    const plan = planAttempt(WAITS, facts, 1e9)
    assert.deepEqual(plan.kind === 'allowed' && plan.next.failures, 1)
  })

  it('counts in a window, which does not move with the attempts', () => {
    let facts: ThrottleFacts = NOTHING
    for (const now of [1000, 2000, 3000]) {
      const plan = planAttempt(WINDOW, facts, now)
      assert.equal(plan.kind, 'allowed')
      if (plan.kind === 'allowed') facts = plan.next
    }
    assert.deepEqual(planAttempt(WINDOW, facts, 4000), { kind: 'refused', until: 61_000 })
    assert.equal(planAttempt(WINDOW, facts, 61_000).kind, 'allowed')
  })
})
