import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createByteBudget } from './byte-budget.ts'

describe('createByteBudget()', () => {
  it('gives what is there, to nobody more than their share', () => {
    const budget = createByteBudget({ total: 10, perKey: 6 })
    assert.equal(budget.take('a', 6), true)
    assert.equal(budget.take('a', 1), false)
    assert.equal(budget.take('b', 5), false)
    assert.equal(budget.take('b', 4), true)
    budget.give('a', 6)
    assert.equal(budget.take('c', 6), true)
    assert.equal(budget.take('d', 1), false)
  })
})
