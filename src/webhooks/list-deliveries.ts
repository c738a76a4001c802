import type { Database } from '../database/database.ts'
import type { DeliveryState, Schema } from '../database/schema.ts'
import type { ClaimedDelivery } from './claim-deliveries.ts'

export type StoredDelivery = Omit<ClaimedDelivery, 'lease_token' | 'lease_expires_at' | 'handled'>
export type StoredOutcome = Schema['delivery_outcomes']

export interface DeliveryFilter {
  state?: DeliveryState | undefined
  projectId?: string | undefined
}

/** An organization's deliveries, and of those that reached several organizations what concerns this one. */
export interface DeliveryWithOutcomes {
  delivery: StoredDelivery
  outcomes: StoredOutcome[]
}

/** A page of deliveries, the newest first. */
export async function listDeliveries(
  db: Database,
  organizationId: string,
  filter: DeliveryFilter,
  page: { after: string | null; limit: number },
): Promise<DeliveryWithOutcomes[]> {
  const scope = { organizationId, filter, page }
  const reached = await selectReached(db, scope)
  const own = filter.projectId === undefined ? await selectOwn(db, scope) : []
  const ids = [...new Set([...own, ...reached])].toSorted().toReversed().slice(0, page.limit)
  if (ids.length === 0) return []
  const deliveries = await selectDeliveries(db, ids)
  const outcomes = await selectOutcomes(db, organizationId, ids)
  return deliveries.map((delivery) => ({
    delivery,
    outcomes: outcomes.filter((one) => one.webhook_delivery_id === delivery.id),
  }))
}

/** Undefined when there is none, or none that the organization may know of. */
export async function readDelivery(
  db: Database,
  organizationId: string,
  id: string,
): Promise<DeliveryWithOutcomes | undefined> {
  const [delivery] = await selectDeliveries(db, [id])
  if (delivery === undefined) return undefined
  const outcomes = await selectOutcomes(db, organizationId, [id])
  if (delivery.organization_id !== organizationId && outcomes.length === 0) return undefined
  return { delivery, outcomes }
}

interface Scope {
  organizationId: string
  filter: DeliveryFilter
  page: { after: string | null; limit: number }
}

async function selectOwn(db: Database, { organizationId, filter, page }: Scope): Promise<string[]> {
  let query = db
    .selectFrom('webhook_deliveries')
    .select('id')
    .where('organization_id', '=', organizationId)
    .orderBy('id', 'desc')
    .limit(page.limit)
  if (filter.state !== undefined) query = query.where('state', '=', filter.state)
  if (page.after !== null) query = query.where('id', '<', page.after)
  return (await query.execute()).map(({ id }) => id)
}

/** Read by the index of outcomes: a condition over both tables would look at all deliveries of all organizations. */
async function selectReached(
  db: Database,
  { organizationId, filter, page }: Scope,
): Promise<string[]> {
  let query = db
    .selectFrom('delivery_outcomes as outcomes')
    .innerJoin('webhook_deliveries as deliveries', 'deliveries.id', 'outcomes.webhook_delivery_id')
    .select('outcomes.webhook_delivery_id as id')
    .distinct()
    .where('outcomes.organization_id', '=', organizationId)
    .orderBy('outcomes.webhook_delivery_id', 'desc')
    .limit(page.limit)
  if (filter.projectId !== undefined) {
    query = query.where('outcomes.project_id', '=', filter.projectId)
  }
  if (filter.state !== undefined) query = query.where('deliveries.state', '=', filter.state)
  if (page.after !== null) query = query.where('outcomes.webhook_delivery_id', '<', page.after)
  return (await query.execute()).map(({ id }) => id)
}

async function selectDeliveries(db: Database, ids: readonly string[]): Promise<StoredDelivery[]> {
  return await db
    .selectFrom('webhook_deliveries')
    .select([
      'id',
      'organization_id',
      'hook_id',
      'provider',
      'delivery_id',
      'event_type',
      'action',
      'installation_id',
      'repo_id',
      'ref',
      'before_commit',
      'head_commit',
      'facts',
      'body_hash',
      'body_bytes',
      'state',
      'reason',
      'status_code',
      'error_message',
      'attempts',
      'next_attempt_at',
      'created_at',
      'processed_at',
    ])
    .where('id', 'in', ids)
    .orderBy('id', 'desc')
    .execute()
}

async function selectOutcomes(
  db: Database,
  organizationId: string,
  ids: readonly string[],
): Promise<StoredOutcome[]> {
  return await db
    .selectFrom('delivery_outcomes')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('webhook_delivery_id', 'in', ids)
    .orderBy('project_id')
    .execute()
}
