import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { streamResponse } from './event-stream.ts'
import type { StreamEvent } from './handler.ts'

describe('streamResponse()', () => {
  it('lets nobody hear of what fails after its reader has gone', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', note)
    const gone = new AbortController()
    const failing = Promise.withResolvers<never>()
    async function* events(): AsyncGenerator<StreamEvent> {
      yield { data: 1 }
      await failing.promise
    }
    const response = streamResponse(events(), {
      signal: gone.signal,
      format: 'events',
      tellFailure: () => ({ error: '' }),
      onEnd: () => {},
    })
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.read()
    gone.abort()
    await reader?.cancel()
    failing.reject(new Error('the database is gone'))
    await setImmediate()
    await setImmediate()
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  })

  it(
    'ends at once when its reader goes while it waits for an event',
    { timeout: 5000 },
    async () => {
      let ended = 0
      async function* events(): AsyncGenerator<StreamEvent> {
        yield { data: 1 }
        await Promise.withResolvers<never>().promise
      }
      const response = streamResponse(events(), {
        signal: new AbortController().signal,
        format: 'events',
        tellFailure: () => ({ error: '' }),
        onEnd: () => (ended += 1),
      })
      const reader = response.body?.getReader()
      await reader?.read()
      await reader?.read()
      // Lets it ask for the next event, of which there is none.
      await setImmediate()
      await reader?.cancel()
      assert.ok(ended > 0)
    },
  )
})
