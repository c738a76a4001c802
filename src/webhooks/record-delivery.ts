import type { Insertable } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { columnsOf, factsOf, sealBody, type VerifiedDelivery } from './delivery-facts.ts'

/** What is stored now. `again`: it had failed, and is worked on once more. */
export interface Recorded {
  kind: 'stored' | 'waiting' | 'again' | 'finished'
  id: string
}

export interface DeliveryRecorder {
  /** Resolves after the commit; rejects when it was not stored. */
  record(delivery: VerifiedDelivery): Promise<Recorded>
}

interface RecordDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'seal'>
}

type Row = Insertable<Schema['webhook_deliveries']> & Pick<Schema['webhook_deliveries'], 'facts'>

interface Entry {
  row: Row
  settle: PromiseWithResolvers<Recorded>
}

/** How long the first of a batch waits for others: one sync of the disk serves all of them. */
const GATHER_MS = 2
const MAX_BATCH = 64
const MAX_BATCH_BYTES = 4 * 1024 * 1024
const LAST_DELIVERY_GRAIN_MS = 60_000

/** Stores deliveries in groups: one transaction for all that came while the last one was written. */
export function createDeliveryRecorder(deps: RecordDeps): DeliveryRecorder {
  let waiting: Entry[] = []
  let writing = false
  const write = async () => {
    writing = true
    while (waiting.length > 0) {
      const batch = takeBatch(waiting)
      waiting = waiting.slice(batch.length)
      await storeBatch(deps, batch)
    }
    writing = false
  }
  return {
    record: (delivery) => {
      const settle = Promise.withResolvers<Recorded>()
      waiting.push({ row: rowOf(deps, delivery), settle })
      if (!writing) {
        writing = true
        setTimeout(() => void write(), GATHER_MS)
      }
      return settle.promise
    },
  }
}

function takeBatch(waiting: readonly Entry[]): Entry[] {
  let bytes = 0
  const end = waiting.findIndex(({ row }, index) => {
    bytes += row.body_sealed?.length ?? 0
    return index === MAX_BATCH || (index > 0 && bytes > MAX_BATCH_BYTES)
  })
  return waiting.slice(0, end === -1 ? waiting.length : end)
}

/** One that cannot be stored (its hook went meanwhile) must not take the others along. */
async function storeBatch(deps: RecordDeps, batch: readonly Entry[]): Promise<void> {
  try {
    const recorded = await inTransaction(deps.db, (tx) => store(deps, tx, batch))
    for (const [index, { settle }] of batch.entries()) {
      const one = recorded[index]
      if (one === undefined) settle.reject(new Error('A stored delivery was not found again'))
      else settle.resolve(one)
    }
  } catch (error) {
    const [only] = batch
    if (batch.length === 1) only?.settle.reject(error)
    else for (const entry of batch) await storeBatch(deps, [entry])
  }
}

async function store(
  deps: RecordDeps,
  tx: Tx,
  batch: readonly Entry[],
): Promise<(Recorded | undefined)[]> {
  const known = await selectKnown(tx, batch)
  const rows = batch.map(({ row }) => {
    const others = known.some((one) => isSameGuid(one, row) && one.body_hash !== row.body_hash)
    return others ? { ...row, facts: { ...row.facts, guid_conflict: true } } : row
  })
  const inserted = await tx
    .insertInto('webhook_deliveries')
    .values(rows)
    .onConflict((conflict) => conflict.columns(['hook_id', 'delivery_id', 'body_hash']).doNothing())
    .returning('id')
    .execute()
  const now = deps.clock.now()
  await tx
    .updateTable('hooks')
    .set({ last_delivery_at: toIsoTime(now) })
    .where('id', 'in', [...new Set(rows.map((row) => row.hook_id))])
    .where((eb) =>
      eb.or([
        eb('last_delivery_at', 'is', null),
        eb('last_delivery_at', '<', toIsoTime(now - LAST_DELIVERY_GRAIN_MS)),
      ]),
    )
    .execute()
  const ids = new Set(inserted.map(({ id }) => id))
  if (ids.size === rows.length) return rows.map(({ id }) => ({ kind: 'stored', id }))
  return await recognize(deps, tx, { batch, ids })
}

/** Those that were not inserted are there already: from before, from another process, or from this very batch. */
async function recognize(
  deps: RecordDeps,
  tx: Tx,
  { batch, ids }: { batch: readonly Entry[]; ids: ReadonlySet<string> },
): Promise<(Recorded | undefined)[]> {
  const known = await selectKnown(tx, batch)
  const recorded: (Recorded | undefined)[] = []
  for (const { row } of batch) {
    const found = known.find((one) => isSameGuid(one, row) && one.body_hash === row.body_hash)
    if (found === undefined) recorded.push(undefined)
    else if (ids.has(row.id)) recorded.push({ kind: 'stored', id: row.id })
    else if (found.state === 'received') recorded.push({ kind: 'waiting', id: found.id })
    else if (found.state === 'failed') {
      await tryAgain(deps, tx, found.id)
      recorded.push({ kind: 'again', id: found.id })
    } else recorded.push({ kind: 'finished', id: found.id })
  }
  return recorded
}

async function tryAgain({ clock }: RecordDeps, tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable('webhook_deliveries')
    .set({ state: 'received', attempts: 0, next_attempt_at: toIsoTime(clock.now()) })
    .where('id', '=', id)
    .where('state', '=', 'failed')
    .execute()
}

function isSameGuid(one: Pick<Row, 'hook_id' | 'delivery_id'>, other: typeof one): boolean {
  return one.hook_id === other.hook_id && one.delivery_id === other.delivery_id
}

async function selectKnown(tx: Tx, batch: readonly Entry[]) {
  return await tx
    .selectFrom('webhook_deliveries')
    .select(['id', 'hook_id', 'delivery_id', 'body_hash', 'state'])
    .where('hook_id', 'in', [...new Set(batch.map(({ row }) => row.hook_id))])
    .where('delivery_id', 'in', [...new Set(batch.map(({ row }) => row.delivery_id))])
    .execute()
}

function rowOf({ clock, newId, keyring }: RecordDeps, delivery: VerifiedDelivery): Row {
  const id = newId()
  const now = toIsoTime(clock.now())
  const malformed = delivery.body.facts === null
  const known = {
    target_id: delivery.targetId,
    signed_with: delivery.secret,
    guid_conflict: false,
  }
  return {
    id,
    organization_id: delivery.organizationId,
    hook_id: delivery.hookId,
    provider: 'github',
    delivery_id: delivery.deliveryId,
    event_type: delivery.event,
    ...columnsOf(delivery.body),
    facts: factsOf(known, delivery.body),
    body_hash: delivery.bodyHash,
    body_bytes: delivery.bodyBytes,
    body_sealed: sealBody(keyring, id, delivery.body.compressed),
    state: malformed ? 'ignored' : 'received',
    reason: malformed ? 'malformed' : null,
    handled: false,
    status_code: malformed ? 400 : 202,
    error_message: null,
    attempts: 0,
    next_attempt_at: malformed ? null : now,
    lease_token: null,
    lease_expires_at: null,
    created_at: now,
    processed_at: malformed ? now : null,
  }
}
