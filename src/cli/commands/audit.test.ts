import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { parseSince } from './audit.ts'

describe('parseSince()', () => {
  const now = Date.parse('2026-06-10T12:00:00.000Z')

  it('reads how long ago something was', () => {
    assert.equal(parseSince('30m', undefined, now), '2026-06-10T11:30:00.000Z')
    assert.equal(parseSince('12h', undefined, now), '2026-06-10T00:00:00.000Z')
    assert.equal(parseSince('7d', undefined, now), '2026-06-03T12:00:00.000Z')
  })

  it('reads a time', () => {
    assert.equal(parseSince('2026-01-31', undefined, now), '2026-01-31T00:00:00.000Z')
    assert.equal(
      parseSince('2026-01-31T10:00:00+02:00', undefined, now),
      '2026-01-31T08:00:00.000Z',
    )
  })

  it('refuses the rest', () => {
    for (const text of ['yesterday', '7w', '', '-1d']) {
      assert.throws(() => parseSince(text, undefined, now), /it must be like 30m, 12h, 7d/)
    }
  })
})
