import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { openDatabase } from '../../database/open-database.ts'
import { createClerkHistory, createRandom, type HistoryMessage } from './_clerk-history.ts'
import { applyMessage, clerkDeps, readClerkState } from './_clerk-state.ts'

/** Every message at least once, a third of them twice, in no order. */
function shuffled(messages: readonly HistoryMessage[], seed: number): HistoryMessage[] {
  const random = createRandom(seed)
  const sent = messages.flatMap((message) => (random() < 0.33 ? [message, message] : [message]))
  for (let index = sent.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1))
    const a = sent[index] as HistoryMessage
    sent[index] = sent[other] as HistoryMessage
    sent[other] = a
  }
  return sent
}

async function applyAll(db: Database, messages: readonly HistoryMessage[]): Promise<void> {
  const deps = clerkDeps(db)
  for (const message of messages) await applyMessage(deps, message)
}

describeOnBothEngines('a history of Clerk', (open, engine) => {
  it('of 1,000 events, shuffled and duplicated, ends as the ordered one does', async () => {
    const { messages, state } = createClerkHistory(1, 1000)
    await using ordered = await open()
    await applyAll(ordered.db, messages)
    assert.deepEqual(await readClerkState(ordered.db), state)
    await using other = await open()
    await applyAll(other.db, shuffled(messages, 2))
    assert.deepEqual(await readClerkState(other.db), state)
  })

  for (const seed of [11, 12, 13, 14]) {
    it(`ends in the same state in whatever order it comes (seed ${seed})`, async () => {
      const { messages, state } = createClerkHistory(seed, 150)
      await using database = await open()
      await applyAll(database.db, shuffled(messages, seed + 100))
      assert.deepEqual(await readClerkState(database.db), state)
      // And backwards, all of it once more: nothing is new.
      const deps = clerkDeps(database.db)
      for (const message of messages.slice(-20).toReversed()) {
        assert.equal(await applyMessage(deps, message), 'duplicate')
      }
      // After the messages were forgotten, what Clerk said is still known.
      await database.db.deleteFrom('clerk_messages').execute()
      for (const message of messages.slice(0, 40)) {
        assert.equal(await applyMessage(deps, message), 'stale')
      }
      assert.deepEqual(await readClerkState(database.db), state)
    })
  }

  // A file of SQLite belongs to one process.
  if (engine === 'sqlite') return
  it('ends in the same state when four processes take its messages at once', async () => {
    const { messages, state } = createClerkHistory(21, 300)
    const sent = shuffled(messages, 22)
    await using database = await open()
    const handles = await Promise.all([1, 2, 3].map(() => openDatabase(database.location)))
    try {
      const lanes = [database.db, ...handles].map((db, lane) =>
        applyAll(
          db,
          sent.filter((_, index) => index % 4 === lane),
        ),
      )
      await Promise.all(lanes)
      assert.deepEqual(await readClerkState(database.db), state)
    } finally {
      await Promise.all(handles.map((db) => db.destroy()))
    }
  })
})
