import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import { chooseAccountBase, parseIds, parseRanges } from './choose-account-base.ts'
import type { IdFacts } from './choose-account-base.ts'

const FIRST = 2_000_400_000
const ALL = [{ first: 0, count: 4_294_967_295 }]
const UNUSED: IdFacts = { mapped: [ALL, ALL], taken: [], delegated: [], claimed: [] }
const choose = (facts: Partial<IdFacts>, guess = 0) =>
  chooseAccountBase({ ...UNUSED, ...facts }, () => guess)

describe('chooseAccountBase()', () => {
  it('takes the range that was guessed, or the next one that is free', () => {
    assert.equal(choose({}, 5), FIRST + 1_000_000)
    assert.equal(choose({ claimed: [FIRST] }), FIRST + 200_000)
    assert.equal(choose({ taken: [0, 1000, FIRST + 199_999] }), FIRST + 200_000)
    const delegated = [{ first: FIRST + 199_999, count: 2 }]
    assert.equal(choose({ delegated }), FIRST + 400_000)
    assert.equal(choose({ claimed: [FIRST + 699 * 200_000] }, 699), FIRST)
  })

  it('takes lower ones where a container has no others, and refuses where it has too few', () => {
    const mapped = (count: number) => [ALL, [{ first: 0, count }]]
    assert.equal(choose({ mapped: mapped(1_000_000_000) }), 200_000)
    assert.equal(choose({ mapped: mapped(600_000), claimed: [200_000] }), 400_000)
    assert.throws(
      () => choose({ mapped: mapped(65_536) }),
      (error) => isOperationError(error, 'start.no_user_ids') && /container/.test(error.message),
    )
  })

  it('stays below what a signed number holds', () => {
    const claimed = Array.from({ length: 699 }, (_, index) => FIRST + index * 200_000)
    assert.equal(choose({ claimed }), 2_140_200_000)
  })
})

describe('parseIds()', () => {
  it('reads users and groups, and skips what is none', () => {
    assert.deepEqual(parseIds('root:x:0:0:root:/root:/bin/sh\n+::::::\n\nann:x:1000:'), [0, 1000])
  })
})

describe('parseRanges()', () => {
  it('reads the ids of users for containers, and those that exist here', () => {
    const text = 'ann:100000:65536\n# none\nbob:165536:65536\n'
    assert.deepEqual(parseRanges(text, 'subordinate'), [
      { first: 100_000, count: 65_536 },
      { first: 165_536, count: 65_536 },
    ])
    const map = '         0     100000      65536\n     65536          0          1\n'
    assert.deepEqual(parseRanges(map, 'map'), [
      { first: 0, count: 65_536 },
      { first: 65_536, count: 1 },
    ])
  })
})
