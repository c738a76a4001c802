import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe, it } from 'node:test'

import {
  identityOf,
  isSameProcessAlive,
  readProcessStat,
  startTicksOf,
} from './process-identity.ts'

describe('isSameProcessAlive()', () => {
  it('knows a process by its start and boot, not by its pid alone', async () => {
    const identity = identityOf(process.pid)
    assert.ok(identity)
    assert.equal(isSameProcessAlive(identity), true)
    assert.equal(isSameProcessAlive({ ...identity, startTicks: '1' }), false)
    assert.equal(isSameProcessAlive({ ...identity, bootId: 'other' }), false)
  })

  it('takes a process that ended and was not collected for gone', async () => {
    const child = spawn('/bin/true', { stdio: 'ignore' })
    const pid = child.pid ?? 0
    // No turn of the event loop until the end of the wait: nothing collects the child meanwhile.
    while (readProcessStat(pid)?.state !== 'Z')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    assert.equal(startTicksOf(pid), null)
    await new Promise((resolve) => child.once('exit', resolve))
    assert.equal(readProcessStat(pid), null)
  })
})
