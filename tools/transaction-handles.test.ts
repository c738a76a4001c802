import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { findForeignHandles } from './transaction-handles.ts'

describe('findForeignHandles()', () => {
  it('finds a handle that the callback closes over, alone or in deps', () => {
    const text = `await inTransaction(db, async (tx) => {
      await db.selectFrom('project').execute()
      await enqueue(deps.db, tx)
    })`
    assert.deepEqual(findForeignHandles('a.ts', text), [
      'a.ts:2 uses db inside inTransaction: await only queries on its tx there',
      'a.ts:3 uses db inside inTransaction: await only queries on its tx there',
    ])
  })

  it('leaves the handle that opens the transaction and later uses alone', () => {
    const text = `await inTransaction(deps.db, (tx) => enqueue(tx)); await db.selectFrom('a').execute()`
    assert.deepEqual(findForeignHandles('a.ts', text), [])
  })
})
