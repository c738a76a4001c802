import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CliError } from './cli-error.ts'
import { followDeployment } from './follow-deployment.ts'
import type { Session } from './session.ts'

describe('followDeployment()', () => {
  it('D-08 goes on following while the control plane restarts', async () => {
    const live = {
      id: 'd',
      number: 2,
      state: 'live',
      ended: true,
      phases: [],
      superseded_by_id: null,
    }
    const first = {
      ...live,
      state: 'fetching',
      ended: false,
      commit: { sha: 'a'.repeat(40), message: null },
    }
    let reads = 0
    let streams = 0
    const away = () => new CliError(3, 'NanoScale does not run here')
    const client = {
      async call() {
        reads += 1
        if (reads > 1 && reads < 4) throw away()
        return reads === 1 ? first : { ...first, ...live }
      },
      async *stream() {
        streams += 1
        if (streams < 3) throw away()
        yield { event: 'end', data: {} }
      },
    }
    const exits: number[] = []
    const session = {
      client,
      clock: { now: () => 0, sleep: () => new Promise((resolve) => setImmediate(resolve)) },
      json: true,
      out: () => {},
      err: () => {},
      fail: (code: number) => exits.push(code),
    } as never as Session
    await followDeployment(session, { url: 'http://shop.localhost' } as never, 'd')
    assert.deepEqual(exits, [])
    assert.ok(reads >= 4 && streams === 3)
  })
})
