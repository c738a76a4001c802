import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { judgeInterrupt } from './interrupts.ts'

describe('judgeInterrupt()', () => {
  it('stops the control plane at the first', () => {
    assert.equal(judgeInterrupt(null, 10_000), 'stop')
  })

  it('takes two at once for one key press', () => {
    assert.equal(judgeInterrupt(10_000, 10_005), 'same_press')
  })

  it('stops everything at the second within three seconds, and not later', () => {
    assert.equal(judgeInterrupt(10_000, 11_000), 'stop_all')
    assert.equal(judgeInterrupt(10_000, 14_000), 'stop')
  })
})
