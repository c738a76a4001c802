import type { Database, Tx } from '../database/database.ts'
import type { AuditOutcome } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Actor } from './actor.ts'
import type { AuditAction } from './audit-actions.ts'

export interface AuditEvent {
  /** Null for what concerns the instance. */
  organizationId: string | null
  by: Actor
  action: AuditAction
  /** Default: `done`. */
  outcome?: AuditOutcome
  target?: { kind: string; id: string; name?: string | null }
  /** Facts for people: before and after, a reason. Never a secret or its hash. */
  details?: Record<string, unknown>
}

/**
 * Notes what was done, in the transaction that does it: both are stored, or neither. The event is chained later, by
 * `sealAuditEvents()`: chaining here would make every writer wait for every other.
 */
export async function recordAuditEvent(
  deps: { clock: Clock; newId: NewId },
  tx: Tx | Database,
  event: AuditEvent,
): Promise<void> {
  const { by, target } = event
  await tx
    .insertInto('audit_events')
    .values({
      id: deps.newId(),
      organization_id: event.organizationId,
      occurred_at: toIsoTime(deps.clock.now()),
      actor_kind: by.kind,
      actor_id: by.id,
      actor_name: by.name,
      address: by.address,
      request_id: by.requestId,
      action: event.action,
      outcome: event.outcome ?? 'done',
      target_kind: target?.kind ?? null,
      target_id: target?.id ?? null,
      target_name: target?.name ?? null,
      details: event.details ?? {},
      sequence: null,
      mac: null,
    })
    .execute()
}
