import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Clock } from '../lib/clock.ts'
import { createRateLimiter } from './rate-limiter.ts'

function movable(): Clock & { move(ms: number): void } {
  let now = 1_000_000
  return {
    now: () => now,
    sleep: () => Promise.resolve(),
    move: (ms) => {
      now += ms
    },
  }
}

describe('createRateLimiter()', () => {
  it('gives as many at once as in a minute, then says when the next one is there', () => {
    const clock = movable()
    const limiter = createRateLimiter(clock, 60)
    for (let i = 0; i < 60; i += 1) assert.equal(limiter.take('a').kind, 'taken')
    assert.deepEqual(limiter.take('a'), { kind: 'empty', retryAfterSeconds: 1 })
    assert.equal(limiter.take('b').kind, 'taken')
    clock.move(1000)
    assert.equal(limiter.take('a').kind, 'taken')
    assert.equal(limiter.take('a').kind, 'empty')
  })

  it('loses nothing of a second by being asked in between, and never holds more than a minute', () => {
    const clock = movable()
    const limiter = createRateLimiter(clock, 6)
    for (let i = 0; i < 6; i += 1) limiter.take('a')
    for (let i = 0; i < 9; i += 1) {
      clock.move(1000)
      const answer = limiter.take('a')
      assert.deepEqual(answer, { kind: 'empty', retryAfterSeconds: 9 - i })
    }
    clock.move(1000)
    assert.equal(limiter.take('a').kind, 'taken')
    clock.move(3_600_000)
    const taken = Array.from({ length: 20 }, () => limiter.take('a').kind)
    assert.equal(taken.filter((kind) => kind === 'taken').length, 6)
  })

  it('is not confused by a clock that goes back', () => {
    const clock = movable()
    const limiter = createRateLimiter(clock, 2)
    limiter.take('a')
    clock.move(-60_000)
    assert.equal(limiter.take('a').kind, 'taken')
    assert.equal(limiter.take('a').kind, 'empty')
  })

  it('remembers a bounded number of keys, forgetting those not used for longest', () => {
    const limiter = createRateLimiter(movable(), 1, 2)
    limiter.take('a')
    limiter.take('b')
    limiter.take('a')
    limiter.take('c')
    assert.equal(limiter.take('a').kind, 'empty')
    assert.equal(limiter.take('b').kind, 'taken')
  })
})
