import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createNewId, newId } from './ids.ts'

describe('newId()', () => {
  it('makes UUIDs that sort by their making, also within a millisecond', () => {
    const ids = Array.from({ length: 20_000 }, newId)
    assert.deepEqual(ids.toSorted(), ids)
    assert.equal(new Set(ids).size, ids.length)
    const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
    assert.equal(
      ids.every((id) => form.test(id)),
      true,
    )
  })

  it('keeps the order while the clock goes back', () => {
    const times = ['00000000-0009', '00000000-0002', '00000000-000a']
    const make = createNewId(() => `${times.shift() ?? ''}-7aaa-8aaa-aaaaaaaaaaaa`)
    assert.deepEqual(
      [make(), make(), make()].map((id) => id.slice(0, 18)),
      ['00000000-0009-7000', '00000000-0009-7001', '00000000-000a-7000'],
    )
  })
})
