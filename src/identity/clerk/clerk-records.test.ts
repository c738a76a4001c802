import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import * as fc from 'fast-check'

import type { ClerkEvent } from './clerk-event.ts'
import { mergeClerkEvent, type AnyClerkRecord } from './clerk-records.ts'

interface Message {
  event: ClerkEvent
  messageId: string
}

const base = { type: 'any', clerkUserId: null, clerkOrgId: null }
const at = fc.integer({ min: 1, max: 4 })

const userEvent = fc
  .record({ at, name: fc.option(fc.constantFrom('a', 'b')) })
  .map(({ at, name }): ClerkEvent => ({
    ...base,
    kind: 'user',
    clerkId: 'user_1',
    at,
    facts:
      name === null
        ? null
        : { name, firstName: null, lastName: null, primaryEmail: null, banned: false },
  }))

const membershipEvent = fc
  .record({ at, role: fc.option(fc.constantFrom('a', 'b')), told: fc.boolean() })
  .map(({ at, role, told }): ClerkEvent => {
    const pair = { clerkUserId: 'user_1', clerkOrgId: 'org_1' }
    return {
      ...base,
      ...(told || role !== null ? pair : {}),
      kind: 'membership',
      clerkId: 'orgmem_1',
      at,
      facts: role === null ? null : { role, joinedAt: 1 },
    }
  })

function mergeAll(messages: readonly Message[]): AnyClerkRecord | null {
  let record: AnyClerkRecord | null = null
  for (const { event, messageId } of messages) record = mergeClerkEvent(record, event, messageId)
  return record
}

describe('mergeClerkEvent()', () => {
  for (const [name, event] of [
    ['a person', userEvent],
    ['a membership', membershipEvent],
  ] as const) {
    it(`makes the same record of ${name} in every order, and of repetitions`, () => {
      const histories = fc
        .array(event, { minLength: 1, maxLength: 8 })
        .map((events) => events.map((event, index) => ({ event, messageId: `msg_${index}` })))
        .chain((messages) =>
          fc.tuple(
            fc.constant(messages),
            fc.shuffledSubarray([...messages, ...messages], { minLength: messages.length * 2 }),
          ),
        )
      fc.assert(
        fc.property(histories, ([ordered, shuffled]) => {
          assert.deepEqual(mergeAll(shuffled), mergeAll(ordered))
        }),
        { numRuns: 300 },
      )
    })
  }

  it('gives the same object back when nothing is new', () => {
    const event: ClerkEvent = {
      ...base,
      kind: 'organization',
      clerkId: 'org_1',
      at: 5,
      facts: { name: 'A', slug: null, createdBy: null },
    }
    const record = mergeClerkEvent(null, event, 'msg_2')
    assert.equal(mergeClerkEvent(record, event, 'msg_2'), record)
    assert.equal(mergeClerkEvent(record, event, 'msg_1'), record)
    assert.notEqual(mergeClerkEvent(record, event, 'msg_3'), record)
  })

  it('keeps nothing of what a deleted person was called', () => {
    const facts = {
      name: 'Ada',
      firstName: 'Ada',
      lastName: null,
      primaryEmail: 'ada@example.com',
      banned: false,
    }
    const told = { ...base, kind: 'user', clerkId: 'user_1', at: 5, facts } as const
    const record = mergeClerkEvent(null, told, 'msg_1')
    const deleted = mergeClerkEvent(record, { ...told, at: 6, facts: null }, 'msg_2')
    assert.doesNotMatch(JSON.stringify(deleted), /ada/i)
  })
})
