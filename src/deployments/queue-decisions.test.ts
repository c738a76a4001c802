import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { DeploymentState } from '../database/schema.ts'
import { planClaim, planRetry, planStart } from './queue-decisions.ts'

interface Simulated {
  head: number
  notBefore: number
  debounceSince: number
  startedAt: number
  cancelledInARow: number
}

/** Pushes at these moments against builds of this length, all in simulated milliseconds. */
function simulate(pushes: readonly number[], buildMs: number) {
  let pending: Simulated | null = null
  let active: Simulated | null = null
  let lastStartedAt: number | null = null
  const started: number[] = []
  const live: { head: number; at: number }[] = []
  const end = Math.max(...pushes) + 4 * buildMs + 20_000
  for (let now = 0; now <= end; now += 100) {
    if (active !== null && now - active.startedAt >= buildMs) {
      live.push({ head: active.head, at: now })
      active = null
    }
    const head = pushes.indexOf(now)
    if (head >= 0) {
      const start = planStart({
        now,
        busy: active !== null,
        lastStartedAt,
        waitingSince: pending?.debounceSince ?? null,
      })
      pending = { head, ...start, startedAt: 0, cancelledInARow: 0 }
    }
    if (pending === null) continue
    const plan = planClaim({
      now,
      pending: { notBefore: pending.notBefore, cause: 'push' },
      active: active && { state: 'building', cancelledInARow: active.cancelledInARow },
    })
    if (plan === 'wait') continue
    const cancelledInARow: number = plan === 'start' ? 0 : (active?.cancelledInARow ?? 0) + 1
    active = { ...pending, startedAt: now, cancelledInARow }
    lastStartedAt = now
    started.push(pending.head)
    pending = null
  }
  return { started, live }
}

describe('planStart()', () => {
  it('starts a lone push at once', () => {
    const facts = { now: 5000, busy: false, lastStartedAt: 1000, waitingSince: null }
    assert.deepEqual(planStart(facts), { notBefore: 5000, debounceSince: 5000 })
  })

  it('lets a push wait for two seconds while a deployment is active or has just started', () => {
    const busy = { now: 5000, busy: true, lastStartedAt: 1000, waitingSince: null }
    assert.equal(planStart(busy).notBefore, 7000)
    const justStarted = { now: 5000, busy: false, lastStartedAt: 3001, waitingSince: null }
    assert.equal(planStart(justStarted).notBefore, 7000)
  })

  it('lets a burst wait for at most ten seconds after its first push', () => {
    const facts = { now: 19_000, busy: true, lastStartedAt: 1000, waitingSince: 10_000 }
    assert.deepEqual(planStart(facts), { notBefore: 20_000, debounceSince: 10_000 })
  })
})

describe('planClaim()', () => {
  const active = (state: DeploymentState, cancelledInARow = 0) => ({
    now: 10,
    pending: { notBefore: 10, cause: 'push' as const },
    active: { state, cancelledInARow },
  })

  it('never cancels a release command, a switch or a cancelling', () => {
    assert.equal(planClaim(active('releasing')), 'wait')
    assert.equal(planClaim(active('switching')), 'wait')
    assert.equal(planClaim(active('cancelling')), 'wait')
    assert.equal(planClaim(active('building')), 'cancel_active')
  })

  it('cancels twice in a row and lets the third run to its end', () => {
    assert.equal(planClaim(active('building', 1)), 'cancel_active')
    assert.equal(planClaim(active('building', 2)), 'wait')
  })

  it('lets a restart follow the active deployment instead of ending it', () => {
    const facts = {
      ...active('building'),
      pending: { notBefore: 0, cause: 'configuration' as const },
    }
    assert.equal(planClaim(facts), 'wait')
  })
})

describe('the queue over time', () => {
  it('D-07 ten pushes in five seconds: at most two are built, and the last one becomes live', () => {
    const pushes = Array.from({ length: 10 }, (_, index) => index * 500)
    const { started, live } = simulate(pushes, 30_000)
    assert.ok(started.length <= 2, `started ${started.join(', ')}`)
    assert.equal(live.at(-1)?.head, 9)
  })

  it('D-07 a push each 25 s with builds of 30 s: at least every third becomes live', () => {
    const pushes = Array.from({ length: 12 }, (_, index) => index * 25_000)
    const { started, live } = simulate(pushes, 30_000)
    assert.ok(live.length >= Math.floor(started.length / 3), `${live.length} of ${started.length}`)
    assert.equal(live.at(-1)?.head, 11)
  })

  it('P-06 fifty pushes in five seconds during a deployment: at most two deployments follow', () => {
    const pushes = [0, ...Array.from({ length: 50 }, (_, index) => 5000 + index * 100)]
    const { started, live } = simulate(pushes, 60_000)
    assert.ok(started.length - 1 <= 2, `started ${started.join(', ')}`)
    assert.equal(live.at(-1)?.head, 50)
  })
})

describe('planRetry()', () => {
  it('tries a head three times, later each time', () => {
    assert.deepEqual(planRetry(1, 0), { attempt: 2, notBefore: 5000 })
    assert.deepEqual(planRetry(2, 0), { attempt: 3, notBefore: 20_000 })
    assert.equal(planRetry(3, 0), null)
  })
})
