import { PostgresAdapter, sql } from 'kysely'

import { recordAuditEvent } from '../../audit/record-audit-event.ts'
import { isUniqueViolation } from '../../database/database-errors.ts'
import type { Database, Tx } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { toIsoTime } from '../../lib/clock.ts'
import { systemErrorCode } from '../../lib/errors.ts'
import type { ClerkEvent } from './clerk-event.ts'
import type { ClerkProjection } from './clerk-projection.ts'
import {
  listPairs,
  mergeClerkEvent,
  readClerkRecord,
  storeClerkRecord,
  type ClerkPair,
  type AnyClerkRecord,
  type ClerkRecord,
} from './clerk-records.ts'
import { mapRole, projectMembership } from './project-membership.ts'
import {
  ensureClerkOrganization,
  findClerkOrganization,
  projectOrganization,
} from './project-organization.ts'
import { ensureClerkUser, projectUser } from './project-user.ts'

export interface ApplyClerkEventDeps extends ClerkProjection {
  db: Database
}

/** `duplicate`: this message was here before. `stale`: Clerk has said something newer about it all. */
export type AppliedClerkEvent = 'applied' | 'stale' | 'duplicate'

/** Of PostgreSQL: transactions that wait for one another, or that cannot be put in an order. */
const TRY_AGAIN = new Set(['40P01', '40001'])
const ATTEMPTS = 5

/** Any number: the same one in every process of this instance. */
const LOCK = 7_237_561
const LOCK_TIMEOUT_MS = 10_000

/**
 * Stores what a message of Clerk says and brings people, organizations and members into line with it, in one
 * transaction. Messages may come in any order, repeatedly, late, and to several processes at the same time: what is
 * stored depends only on which of them came.
 */
export async function applyClerkEvent(
  deps: ApplyClerkEventDeps,
  event: ClerkEvent,
  messageId: string,
): Promise<AppliedClerkEvent> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const applied = await inTransaction(deps.db, (tx) => apply(deps, tx, event, messageId))
      if (applied === 'applied') warnOfRole(deps, event)
      return applied
    } catch (error) {
      const again = isUniqueViolation(error) || TRY_AGAIN.has(systemErrorCode(error) ?? '')
      if (!again || attempt === ATTEMPTS) throw error
    }
  }
}

async function apply(
  deps: ApplyClerkEventDeps,
  tx: Tx,
  event: ClerkEvent,
  messageId: string,
): Promise<AppliedClerkEvent> {
  await takeTurn(tx)
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('clerk_messages')
    .values({
      id: messageId,
      event_type: event.type,
      received_at: toIsoTime(deps.clock.now()),
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows === 0n) return 'duplicate'
  const before = (await readClerkRecord(tx, event.kind, event.clerkId)) as AnyClerkRecord | null
  const record = mergeClerkEvent(before, event, messageId)
  if (record === before) return 'stale'
  await storeClerkRecord(deps, tx, record)
  const changed = await project(deps, tx, before, record)
  await recordAuditEvent(deps, tx, {
    organizationId: await organizationIdOf(tx, record),
    by: deps.by,
    action: 'clerk.synchronized',
    target: { kind: record.kind, id: record.clerkId },
    details: { event: event.type, message: messageId, changed },
  })
  return 'applied'
}

/**
 * One message after another, over all processes: two that touch the same membership from both sides would each miss
 * what the other stored. SQLite has one writer anyway.
 */
async function takeTurn(tx: Tx): Promise<void> {
  if (!(tx.getExecutor().adapter instanceof PostgresAdapter)) return
  await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT_MS)}`.execute(tx)
  await sql`select pg_advisory_xact_lock(${sql.lit(LOCK)})`.execute(tx)
}

/** Brings all that the record has a say in into line with it. */
async function project(
  deps: ClerkProjection,
  tx: Tx,
  before: ClerkRecord | null,
  record: AnyClerkRecord,
): Promise<string[]> {
  if (record.kind === 'user') {
    // Nothing else about a person has a say in memberships, of which there may be many.
    const turned = record.deleted !== (before?.deleted ?? false)
    const pairs = turned ? await listPairs(tx, { clerkUserId: record.clerkId }) : []
    // Memberships end while we still know whose they are.
    if (record.deleted) await projectMemberships(deps, tx, pairs)
    const changed = await projectUser(deps, tx, before as ClerkRecord<'user'> | null, record)
    if (!record.deleted) await projectMemberships(deps, tx, pairs)
    return changed
  }
  if (record.kind === 'organization') {
    const was = before as ClerkRecord<'organization'> | null
    const changed = await projectOrganization(deps, tx, was, record)
    const turned =
      record.deleted !== (was?.deleted ?? false) ||
      record.facts?.value.createdBy !== was?.facts?.value.createdBy
    const pairs = turned ? await listPairs(tx, { clerkOrgId: record.clerkId }) : []
    await projectMemberships(deps, tx, pairs)
    return changed
  }
  const { clerkUserId, clerkOrgId } = record
  if (clerkUserId !== null) await ensureClerkUser(deps, tx, clerkUserId)
  if (clerkOrgId !== null) await ensureClerkOrganization(deps, tx, clerkOrgId)
  if (clerkUserId !== null && clerkOrgId !== null) {
    await projectMembership(deps, tx, { clerkUserId, clerkOrgId })
  }
  return []
}

async function projectMemberships(
  deps: ClerkProjection,
  tx: Tx,
  pairs: readonly ClerkPair[],
): Promise<void> {
  for (const pair of pairs) await projectMembership(deps, tx, pair)
}

/** Where the audit event belongs; null for a person, who belongs to no one organization. */
async function organizationIdOf(tx: Tx, record: ClerkRecord): Promise<string | null> {
  const clerkOrgId = record.kind === 'organization' ? record.clerkId : record.clerkOrgId
  if (clerkOrgId === null) return null
  return (await findClerkOrganization(tx, clerkOrgId))?.id ?? null
}

function warnOfRole(deps: ClerkProjection, event: ClerkEvent): void {
  if (event.kind !== 'membership' || event.facts === null) return
  const { role } = event.facts
  if (mapRole(deps.config.clerkRoles, role) !== undefined) return
  deps.log.warn('Clerk has a role that NANOSCALE_CLERK_ROLES does not name: it is viewer here', {
    role,
    membership: event.clerkId,
  })
}
