import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createBodyReader } from './body-reader.ts'

describe('createBodyReader()', () => {
  it('reads the next large body after one that its thread failed at', async () => {
    await using reader = createBodyReader()
    // What no sender can bring about: a segment that is no bytes.
    const broken = { length: 300_000, buffer: new ArrayBuffer(8) } as Uint8Array<ArrayBuffer>
    await assert.rejects(reader.read('push', [broken]), { code: 'webhook.unreadable' })
    const text = JSON.stringify({ action: 'renamed', x: 'x'.repeat(300_000) })
    const started = performance.now()
    const { facts } = await reader.read('repository', [new TextEncoder().encode(text)])
    assert.equal(facts?.action, 'renamed')
    assert.ok(performance.now() - started < 8000)
  })
})
