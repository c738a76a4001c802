import type { Database } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'

/** A worker that says nothing for this long has lost the delivery. */
const LEASE_MS = 30_000
const RENEW_MS = 10_000

/** A delivery that this worker works on, without its body. */
export type ClaimedDelivery = Omit<Schema['webhook_deliveries'], 'body_sealed'>

interface ClaimDeps {
  db: Database
  clock: Clock
  newId: NewId
}

const COLUMNS = [
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
  'handled',
  'status_code',
  'error_message',
  'attempts',
  'next_attempt_at',
  'lease_token',
  'lease_expires_at',
  'created_at',
  'processed_at',
] as const satisfies readonly (keyof ClaimedDelivery)[]

/** Takes deliveries that are due, the oldest first; each goes to one worker, also among several processes. */
export async function claimDeliveries(deps: ClaimDeps, limit: number): Promise<ClaimedDelivery[]> {
  const time = deps.clock.now()
  const now = toIsoTime(time)
  const due = await deps.db
    .selectFrom('webhook_deliveries')
    .select('id')
    .where('state', '=', 'received')
    .where('next_attempt_at', '<=', now)
    .where((eb) => eb.or([eb('lease_token', 'is', null), eb('lease_expires_at', '<', now)]))
    .orderBy('next_attempt_at')
    .orderBy('id')
    .limit(limit)
    .execute()
  if (due.length === 0) return []
  return await deps.db
    .updateTable('webhook_deliveries')
    .set({ lease_token: deps.newId(), lease_expires_at: toIsoTime(time + LEASE_MS) })
    .where(
      'id',
      'in',
      due.map(({ id }) => id),
    )
    // Somebody may have taken or finished some meanwhile.
    .where('state', '=', 'received')
    .where((eb) => eb.or([eb('lease_token', 'is', null), eb('lease_expires_at', '<', now)]))
    .returning(COLUMNS)
    .execute()
}

/** Keeps the lease until the signal aborts. */
export async function keepDelivery(
  { db, clock }: ClaimDeps,
  delivery: ClaimedDelivery,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(RENEW_MS, signal).catch(() => {})
    if (signal.aborted) return
    await db
      .updateTable('webhook_deliveries')
      .set({ lease_expires_at: toIsoTime(clock.now() + LEASE_MS) })
      .where('id', '=', delivery.id)
      .where('lease_token', '=', delivery.lease_token)
      .execute()
      // The database may be away for a moment: the lease outlives one renewal that fails.
      .catch(() => {})
  }
}

/** Gives it back undone, for whoever is next: this process ends. */
export async function releaseDelivery(db: Database, delivery: ClaimedDelivery): Promise<void> {
  await db
    .updateTable('webhook_deliveries')
    .set({ lease_token: null, lease_expires_at: null })
    .where('id', '=', delivery.id)
    .where('lease_token', '=', delivery.lease_token)
    .execute()
}
