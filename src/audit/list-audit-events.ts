import type { Selectable } from 'kysely'

import type { Database } from '../database/database.ts'
import type { AuditOutcome, Schema } from '../database/schema.ts'

export type AuditRow = Selectable<Schema['audit_events']>

export interface AuditFilter {
  action?: string | undefined
  actorId?: string | undefined
  targetId?: string | undefined
  outcome?: AuditOutcome | undefined
  /** From this time on, as text. */
  since?: string | undefined
  /** Before this time, as text. */
  until?: string | undefined
}

/** Whose events: one organization's, for the operator with those of the instance itself. */
export interface AuditScope {
  organizationId: string
  withInstance: boolean
}

export interface AuditPage {
  order: 'newest' | 'oldest'
  /** The id of the event after which the page begins, in that order. */
  after: string | null
  limit: number
}

/** A page of events in the order of their ids, which is that of their making. */
export async function listAuditEvents(
  db: Database,
  scope: AuditScope,
  filter: AuditFilter,
  page: AuditPage,
): Promise<AuditRow[]> {
  const own = await readPage(db, scope.organizationId, filter, page)
  if (!scope.withInstance) return own
  // Two reads of the index, each in order: with "or" the database would sort everything.
  const both = [...own, ...(await readPage(db, null, filter, page))]
  const direction = page.order === 'oldest' ? 1 : -1
  both.sort((one, other) => (one.id < other.id ? -direction : direction))
  return both.slice(0, page.limit)
}

async function readPage(
  db: Database,
  organizationId: string | null,
  filter: AuditFilter,
  { order, after, limit }: AuditPage,
): Promise<AuditRow[]> {
  let query = db
    .selectFrom('audit_events')
    .selectAll()
    .where('organization_id', organizationId === null ? 'is' : '=', organizationId)
  if (after !== null) query = query.where('id', order === 'oldest' ? '>' : '<', after)
  if (filter.action !== undefined) query = query.where('action', '=', filter.action)
  if (filter.actorId !== undefined) query = query.where('actor_id', '=', filter.actorId)
  if (filter.targetId !== undefined) query = query.where('target_id', '=', filter.targetId)
  if (filter.outcome !== undefined) query = query.where('outcome', '=', filter.outcome)
  if (filter.since !== undefined) query = query.where('occurred_at', '>=', filter.since)
  if (filter.until !== undefined) query = query.where('occurred_at', '<', filter.until)
  return await query
    .orderBy('id', order === 'oldest' ? 'asc' : 'desc')
    .limit(limit)
    .execute()
}
