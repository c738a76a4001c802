import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { createTurns } from './turns.ts'

describe('createTurns()', () => {
  it('lets two pass at once, one wait, and refuses the fourth', async () => {
    const inTurn = createTurns({ atOnce: 2, waiting: 1 })
    const begun: number[] = []
    const gates = [0, 1, 2].map(() => Promise.withResolvers<void>())
    const pass = (n: number) =>
      inTurn(async () => {
        begun.push(n)
        await gates[n]?.promise
        return n
      })
    const passing = [pass(0), pass(1), pass(2)]
    await assert.rejects(pass(3), { code: 'auth.busy', retryAfterSeconds: 2 })
    await setImmediate()
    assert.deepEqual(begun, [0, 1])
    gates[0]?.resolve()
    assert.equal(await passing[0], 0)
    await setImmediate()
    assert.deepEqual(begun, [0, 1, 2])
    gates[1]?.resolve()
    gates[2]?.resolve()
    assert.deepEqual(await Promise.all(passing), [0, 1, 2])
  })

  it('gives the place on after a failure', async () => {
    const inTurn = createTurns({ atOnce: 1, waiting: 1 })
    const failed = inTurn(() => Promise.reject(new Error('no')))
    const next = inTurn(() => Promise.resolve('yes'))
    await assert.rejects(failed)
    assert.equal(await next, 'yes')
  })
})
