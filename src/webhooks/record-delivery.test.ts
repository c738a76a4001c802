import assert from 'node:assert/strict'
import { it } from 'node:test'

import type { KyselyPlugin } from 'kysely'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { addApp, keyring } from './_test-hooks.ts'
import type { VerifiedDelivery } from './delivery-facts.ts'
import { createDeliveryRecorder } from './record-delivery.ts'

function delivery(hookId: string, deliveryId: string): VerifiedDelivery {
  const facts = {
    action: null,
    installationId: null,
    repoId: 1,
    ref: 'refs/heads/main',
    before: null,
    after: null,
    senderId: null,
    senderLogin: null,
    problem: null,
  }
  return {
    hookId,
    organizationId: 'org-default',
    event: 'push',
    deliveryId,
    targetId: null,
    secret: 'current',
    bodyHash: 'a'.repeat(64),
    bodyBytes: 2,
    body: { facts, compressed: new Uint8Array([1, 2, 3]) },
  }
}

/** Counts what is inserted into the inbox at a time. */
function countInserts(counted: number[]): KyselyPlugin {
  return {
    transformQuery: ({ node }) => {
      if (node.kind === 'InsertQueryNode' && 'values' in node) {
        const { values } = node as { values?: { values?: readonly unknown[] } }
        counted.push(values?.values?.length ?? 0)
      }
      return node
    },
    transformResult: ({ result }) => Promise.resolve(result),
  }
}

describeOnBothEngines('createDeliveryRecorder()', (open) => {
  it('stores what comes together in one transaction, and each of them once', async () => {
    await using database = await open()
    const hookId = await addApp(database.db)
    const counted: number[] = []
    const db = database.db.withPlugin(countInserts(counted))
    const recorder = createDeliveryRecorder({ db, clock: systemClock, newId, keyring })
    const guids = Array.from({ length: 100 }, (_, index) => `guid-${index % 60}`)
    const recorded = await Promise.all(guids.map((guid) => recorder.record(delivery(hookId, guid))))
    assert.deepEqual(counted, [64, 36])
    const stored = recorded.filter(({ kind }) => kind === 'stored')
    assert.equal(stored.length, 60)
    assert.equal(recorded.filter(({ kind }) => kind === 'waiting').length, 40)
    assert.equal(new Set(recorded.map(({ id }) => id)).size, 60)
    const rows = await database.db.selectFrom('webhook_deliveries').select('id').execute()
    assert.deepEqual(new Set(rows.map(({ id }) => id)), new Set(stored.map(({ id }) => id)))
  })

  it('stores the others when one of a group cannot be', async () => {
    await using database = await open()
    const hookId = await addApp(database.db)
    const deps = { db: database.db, clock: systemClock, newId, keyring }
    const recorder = createDeliveryRecorder(deps)
    const hooks = [hookId, 'removed-meanwhile', hookId]
    const recorded = await Promise.allSettled(
      hooks.map((id, index) => recorder.record(delivery(id, `guid-${index}`))),
    )
    assert.deepEqual(
      recorded.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    const rows = await database.db.selectFrom('webhook_deliveries').select('delivery_id').execute()
    assert.deepEqual(rows.map((row) => row.delivery_id).toSorted(), ['guid-0', 'guid-2'])
  })
})
