import { PostgresAdapter } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import {
  GENESIS,
  isAuthentic,
  macOf,
  positionOf,
  readChainRow,
  selectStored,
  signed,
  type ChainPosition,
  type ChainRow,
} from './audit-chain.ts'

interface SealDeps {
  db: Database
  clock: Clock
  /** Of the instance: `readInstanceSecret(…, 'audit')`. */
  secret: Buffer
}

/** Events of one transaction: on SQLite every other query waits for it. */
const BATCH = 200

/**
 * Chains the events that were inserted since, in order of their ids: gives each the next `sequence` and the `mac` over
 * it and the one before, then moves the signed head. Who does not get the head leaves the work to who has it. Events
 * that are committed later, whatever their id, come later in the chain. Returns how many it sealed. Throws
 * `audit.broken` when the head is missing or not ours: sealing on would hide what was done to it.
 */
export async function sealAuditEvents(deps: SealDeps): Promise<number> {
  let sealed = 0
  while (await hasUnsealed(deps.db)) {
    await beginChain(deps)
    const count = await inTransaction(deps.db, (tx) => sealBatch(deps, tx))
    sealed += count ?? 0
    if (count === null || count < BATCH) break
  }
  return sealed
}

/** One read of an index that holds the events of the last second alone. */
async function hasUnsealed(db: Database): Promise<boolean> {
  const row = await db
    .selectFrom('audit_events')
    .select('id')
    .where('sequence', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Makes the head of a chain that has nothing yet. */
async function beginChain({ db, clock, secret }: SealDeps): Promise<void> {
  if ((await readChainRow(db, 'head')) !== undefined) return
  await inTransaction(db, async (tx) => {
    // First: two processes that begin at once do not judge each other's beginning.
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('audit_chain')
      .values(signed(secret, 'head', GENESIS, toIsoTime(clock.now())))
      .onConflict((conflict) => conflict.column('name').doNothing())
      .executeTakeFirst()
    if (numInsertedOrUpdatedRows === 0n) return
    const sealed = await tx
      .selectFrom('audit_events')
      .select('id')
      .where('sequence', 'is not', null)
      .limit(1)
      .executeTakeFirst()
    const checkpoint = await readChainRow(tx, 'checkpoint')
    if (sealed !== undefined || checkpoint !== undefined) throw broken('its head is missing')
  })
}

/** Null: another process is at it. */
async function sealBatch(deps: SealDeps, tx: Tx): Promise<number | null> {
  const head = await takeHead(tx, 'or leave it')
  if (head === undefined) return null
  let at = trusted(deps.secret, head)
  const events = await selectStored(tx)
    .where('sequence', 'is', null)
    .orderBy('id')
    .limit(BATCH)
    .execute()
  for (const event of events) {
    at = { sequence: at.sequence + 1, mac: macOf(deps.secret, at, event) }
    await tx
      .updateTable('audit_events')
      .set({ sequence: at.sequence, mac: at.mac })
      .where('id', '=', event.id)
      .execute()
  }
  if (events.length > 0) await moveHead(deps, tx, at)
  return events.length
}

async function moveHead({ clock, secret }: SealDeps, tx: Tx, at: ChainPosition): Promise<void> {
  const { name, ...row } = signed(secret, 'head', at, toIsoTime(clock.now()))
  await tx.updateTable('audit_chain').set(row).where('name', '=', name).execute()
}

/**
 * The head, for who changes the chain in this transaction. On PostgreSQL its row is locked; on SQLite there is one
 * writer anyway.
 */
export async function takeHead(
  tx: Tx,
  whenTaken: 'wait' | 'or leave it',
): Promise<ChainRow | undefined> {
  const head = tx.selectFrom('audit_chain').selectAll().where('name', '=', 'head')
  if (!(tx.getExecutor().adapter instanceof PostgresAdapter)) return await head.executeTakeFirst()
  const locked = head.forUpdate()
  return await (whenTaken === 'wait' ? locked : locked.skipLocked()).executeTakeFirst()
}

/** Where a row of ours says that the chain is. Throws `audit.broken` when it is not ours. */
export function trusted(secret: Buffer, row: ChainRow): ChainPosition {
  if (!isAuthentic(secret, row)) throw broken(`its ${row.name} was not signed here`)
  return positionOf(row)
}

export function broken(why: string): OperationError {
  return new OperationError(
    'audit.broken',
    `Cannot go on with the chain of audit events: ${why}. Run: nanoscale audit verify`,
  )
}
