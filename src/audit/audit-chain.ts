import { createHmac } from 'node:crypto'

import { sql, type Selectable } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import { OperationError } from '../lib/errors.ts'

export type ChainRow = Selectable<Schema['audit_chain']>

/** Where the chain is: after the event of this sequence, whose seal is `mac`. */
export interface ChainPosition {
  sequence: number
  mac: string
}

/** Before the first event. */
export const GENESIS: ChainPosition = { sequence: 0, mac: '' }

/** What a seal covers of an event, in this order, for as long as there are events that were sealed so. */
const SEALED_COLUMNS = [
  'id',
  'organization_id',
  'occurred_at',
  'actor_kind',
  'actor_id',
  'actor_name',
  'address',
  'request_id',
  'action',
  'outcome',
  'target_kind',
  'target_id',
  'target_name',
] as const

/** An event as it is stored: `details_text` is the very text, so that not even the order of its keys may change. */
export type StoredEvent = Pick<
  Selectable<Schema['audit_events']>,
  (typeof SEALED_COLUMNS)[number] | 'sequence' | 'mac'
> & { details_text: string }

export function selectStored(db: Database | Tx) {
  return db
    .selectFrom('audit_events')
    .select([...SEALED_COLUMNS, 'sequence', 'mac'])
    .select(sql<string>`audit_events.details`.as('details_text'))
}

/** The seal of an event: over all of it, its place and the seal before it, so that none can be changed or left out. */
export function macOf(secret: Buffer, previous: ChainPosition, event: StoredEvent): string {
  const columns = SEALED_COLUMNS.map((column) => event[column])
  const place = [previous.mac, previous.sequence + 1]
  return hmac(secret, ['audit event', ...place, ...columns, event.details_text])
}

/** A row of `audit_chain` with its signature. */
export function signed(
  secret: Buffer,
  name: ChainRow['name'],
  at: ChainPosition,
  signedAt: string,
): ChainRow {
  const row = { name, sequence: at.sequence, event_mac: at.mac, signed_at: signedAt }
  return { ...row, signature: signatureOf(secret, row) }
}

/** True when the row is one that we signed. */
export function isAuthentic(secret: Buffer, row: ChainRow): boolean {
  return signatureOf(secret, row) === row.signature
}

function signatureOf(secret: Buffer, row: Omit<ChainRow, 'signature'>): string {
  return hmac(secret, [`audit ${row.name}`, row.sequence, row.event_mac, row.signed_at])
}

function hmac(secret: Buffer, fields: readonly (string | number | null)[]): string {
  return createHmac('sha256', secret).update(JSON.stringify(fields)).digest('hex')
}

export async function readChainRow(
  db: Database | Tx,
  name: ChainRow['name'],
): Promise<ChainRow | undefined> {
  return await db.selectFrom('audit_chain').selectAll().where('name', '=', name).executeTakeFirst()
}

/** Where a row of `audit_chain` says that the chain is. */
export function positionOf(row: ChainRow): ChainPosition {
  return { sequence: row.sequence, mac: row.event_mac }
}

/** An anchor as the log prints it and `audit verify --anchor` takes it. */
export function formatAnchor(at: ChainPosition): string {
  return `${at.sequence}:${at.mac}`
}

/** Reads `SEQ:MAC`. Throws `audit.invalid_anchor`. */
export function parseAnchor(text: string): ChainPosition {
  const parts = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text.trim().toLowerCase())
  if (parts !== null) return { sequence: Number(parts[1]), mac: parts[2] ?? '' }
  throw new OperationError(
    'audit.invalid_anchor',
    `Cannot use "${text.slice(0, 100)}" as an anchor: it is SEQ:MAC, as the log has it in "Audit head"`,
  )
}
