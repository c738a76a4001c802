import type { Selectable } from 'kysely'

import type { Database, Tx } from '../../database/database.ts'
import type { Schema } from '../../database/schema.ts'
import { toIsoTime, type Clock } from '../../lib/clock.ts'
import type { ClerkEvent, ClerkFacts, ClerkKind } from './clerk-event.ts'

/** When something was said; equal times are ordered by the message's id. */
export interface Stamp {
  at: number
  messageId: string
}

/**
 * All that is kept of what Clerk said about one of its things: whether it lives, by the newest word; and its facts, by
 * the newest word that had any. Facts of a deleted person are not kept.
 */
export interface ClerkRecord<Kind extends ClerkKind = ClerkKind> extends Stamp {
  kind: Kind
  clerkId: string
  deleted: boolean
  clerkUserId: string | null
  clerkOrgId: string | null
  facts: { value: ClerkFacts[Kind]; stamp: Stamp } | null
}

export type AnyClerkRecord = { [Kind in ClerkKind]: ClerkRecord<Kind> }[ClerkKind]

/**
 * The record with the event in it; the same record when the event says nothing new. In whatever order and how often
 * events come, the same record comes out: each of its parts only ever takes what is newer.
 */
export function mergeClerkEvent(
  record: AnyClerkRecord | null,
  event: ClerkEvent,
  messageId: string,
): AnyClerkRecord {
  const stamp = { at: event.at, messageId }
  const isNewest = record === null || isLater(stamp, record)
  const newest = isNewest ? { ...stamp, deleted: event.facts === null } : record
  const clerkUserId = record?.clerkUserId ?? event.clerkUserId
  const clerkOrgId = record?.clerkOrgId ?? event.clerkOrgId
  let facts: ClerkRecord['facts'] = record?.facts ?? null
  if (event.facts !== null && (facts === null || isLater(stamp, facts.stamp))) {
    facts = { value: event.facts, stamp }
  }
  if (event.kind === 'user' && newest.deleted) facts = null
  const unchanged =
    !isNewest &&
    facts === record.facts &&
    clerkUserId === record.clerkUserId &&
    clerkOrgId === record.clerkOrgId
  if (unchanged) return record
  return {
    kind: event.kind,
    clerkId: event.clerkId,
    at: newest.at,
    messageId: newest.messageId,
    deleted: newest.deleted,
    clerkUserId,
    clerkOrgId,
    facts,
    // Of the event's kind all three: the kind is part of Clerk's id.
  } as AnyClerkRecord
}

export function isLater(a: Stamp, b: Stamp): boolean {
  return a.at === b.at ? a.messageId > b.messageId : a.at > b.at
}

export async function readClerkRecord<Kind extends ClerkKind>(
  tx: Tx,
  kind: Kind,
  clerkId: string,
): Promise<ClerkRecord<Kind> | null> {
  const row = await tx
    .selectFrom('clerk_records')
    .selectAll()
    .where('clerk_id', '=', clerkId)
    .where('kind', '=', kind)
    .executeTakeFirst()
  return row === undefined ? null : recordOf<Kind>(row)
}

export async function storeClerkRecord(
  deps: { clock: Clock },
  tx: Tx,
  record: ClerkRecord,
): Promise<void> {
  const values = {
    event_at: record.at,
    message_id: record.messageId,
    deleted: record.deleted,
    clerk_user_id: record.clerkUserId,
    clerk_org_id: record.clerkOrgId,
    facts: { ...record.facts },
    updated_at: toIsoTime(deps.clock.now()),
  }
  await tx
    .insertInto('clerk_records')
    .values({ ...values, clerk_id: record.clerkId, kind: record.kind })
    .onConflict((conflict) => conflict.column('clerk_id').doUpdateSet(values))
    .execute()
}

/** Whose membership where, by Clerk's ids. */
export interface ClerkPair {
  clerkUserId: string
  clerkOrgId: string
}

/** Everything that Clerk said about memberships of this person there; whoever joins again has another id. */
export async function readMembershipRecords(
  tx: Tx,
  pair: ClerkPair,
): Promise<ClerkRecord<'membership'>[]> {
  const rows = await tx
    .selectFrom('clerk_records')
    .selectAll()
    .where('kind', '=', 'membership')
    .where('clerk_user_id', '=', pair.clerkUserId)
    .where('clerk_org_id', '=', pair.clerkOrgId)
    .execute()
  return rows.map((row) => recordOf<'membership'>(row))
}

/** Every pair with a membership, living or not, on this side. */
export async function listPairs(
  tx: Tx,
  side: { clerkUserId: string } | { clerkOrgId: string },
): Promise<ClerkPair[]> {
  const query = tx
    .selectFrom('clerk_records')
    .select(['clerk_user_id', 'clerk_org_id'])
    .distinct()
    .where('kind', '=', 'membership')
    .orderBy('clerk_user_id')
    .orderBy('clerk_org_id')
  const rows = await (
    'clerkUserId' in side
      ? query.where('clerk_user_id', '=', side.clerkUserId)
      : query.where('clerk_org_id', '=', side.clerkOrgId)
  ).execute()
  return rows.flatMap(({ clerk_user_id: clerkUserId, clerk_org_id: clerkOrgId }) =>
    clerkUserId === null || clerkOrgId === null ? [] : [{ clerkUserId, clerkOrgId }],
  )
}

/** How long messages are remembered. Svix gives up far earlier, and the records repeat nothing by themselves. */
const MESSAGES_KEPT_MS = 30 * 86_400_000

/** Forgets messages that can come again no more. */
export async function forgetClerkMessages(deps: { db: Database; clock: Clock }): Promise<void> {
  await deps.db
    .deleteFrom('clerk_messages')
    .where('received_at', '<', toIsoTime(deps.clock.now() - MESSAGES_KEPT_MS))
    .execute()
}

function recordOf<Kind extends ClerkKind>(
  row: Selectable<Schema['clerk_records']>,
): ClerkRecord<Kind> {
  const facts = row.facts as Partial<NonNullable<ClerkRecord<Kind>['facts']>>
  const { value, stamp } = facts
  return {
    kind: row.kind as Kind,
    clerkId: row.clerk_id,
    at: row.event_at,
    messageId: row.message_id,
    deleted: row.deleted,
    clerkUserId: row.clerk_user_id,
    clerkOrgId: row.clerk_org_id,
    facts: value === undefined || stamp === undefined ? null : { value, stamp },
  }
}
