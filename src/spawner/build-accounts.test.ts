import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createBuildAccounts } from './build-accounts.ts'

const never = new AbortController().signal

describe('createBuildAccounts()', () => {
  it('lends each account to one build at a time, in the order of asking', async () => {
    const ended: number[] = []
    const accounts = createBuildAccounts(
      { endAccount: async ({ slot }) => void ended.push(slot) },
      1,
    )
    const first = await accounts.acquire(never)
    const order: string[] = []
    const second = accounts.acquire(never).then((lease) => (order.push('second'), lease))
    const third = accounts.acquire(never).then((lease) => (order.push('third'), lease))
    await first[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    await (await second)[Symbol.asyncDispose]()
    await (await third)[Symbol.asyncDispose]()
    assert.deepEqual(order, ['second', 'third'])
    // Once before the first use, because an earlier control plane may have left builds behind.
    assert.deepEqual(ended, [0, 0, 0, 0])
  })

  it('stops waiting when the caller does', async () => {
    const accounts = createBuildAccounts({ endAccount: async () => {} }, 1)
    const lease = await accounts.acquire(never)
    const abort = new AbortController()
    const waiting = accounts.acquire(abort.signal)
    abort.abort(new Error('not wanted'))
    await assert.rejects(waiting, /not wanted/)
    await lease[Symbol.asyncDispose]()
    await (await accounts.acquire(never))[Symbol.asyncDispose]()
  })

  it('gives no account away before everything under it was ended', async () => {
    let fails = false
    let ends = 0
    const endAccount = async () => {
      ends += 1
      if (fails) throw new Error('still running')
    }
    const accounts = createBuildAccounts({ endAccount }, 1)
    const lease = await accounts.acquire(never)
    fails = true
    await assert.rejects(Promise.resolve(lease[Symbol.asyncDispose]()), /still running/)
    await assert.rejects(accounts.acquire(never), /still running/)
    fails = false
    await accounts.acquire(never)
    assert.equal(ends, 4)
  })
})
