import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Keyring } from '../secrets/keyring.ts'
import type { BodyReader } from './body-reader.ts'
import { columnsOf, factsOf, openBody } from './delivery-facts.ts'
import { inflateBody } from './digest-body.ts'
import { readDelivery, type DeliveryWithOutcomes } from './list-deliveries.ts'

interface ReplayDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'open'>
  reader: Pick<BodyReader, 'read'>
}

/**
 * Works on a delivery once more, reading its body again while that is kept. Harmless: whatever it says, projects look at
 * their branch and nothing else. Undefined when the organization has no such delivery.
 */
export async function replayDelivery(
  deps: ReplayDeps,
  request: { organizationId: string; id: string; by: Actor },
): Promise<DeliveryWithOutcomes | undefined> {
  const { organizationId, id } = request
  const found = await readDelivery(deps.db, organizationId, id)
  if (found === undefined) return undefined
  const { delivery } = found
  const facts = await readAgain(deps, delivery)
  await inTransaction(deps.db, async (tx) => {
    await tx
      .updateTable('webhook_deliveries')
      .set({
        ...facts,
        state: 'received',
        reason: null,
        error_message: null,
        attempts: 0,
        next_attempt_at: toIsoTime(deps.clock.now()),
        processed_at: null,
      })
      .where('id', '=', id)
      // One that is waiting anyway is left to who works on it.
      .where('state', '<>', 'received')
      .execute()
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: request.by,
      action: 'delivery.replayed',
      target: { kind: 'delivery', id },
      details: { event: delivery.event_type, state: delivery.state },
    })
  })
  return await readDelivery(deps.db, organizationId, id)
}

/** This version may make more of a body than the one that received it. */
async function readAgain(deps: ReplayDeps, delivery: DeliveryWithOutcomes['delivery']) {
  const kept = await deps.db
    .selectFrom('webhook_deliveries')
    .select('body_sealed')
    .where('id', '=', delivery.id)
    .executeTakeFirst()
  const sealed = kept?.body_sealed ?? null
  if (sealed === null) return {}
  const bytes = inflateBody(openBody(deps.keyring, delivery.id, sealed))
  const body = await deps.reader.read(delivery.event_type, [bytes])
  return { ...columnsOf(body), facts: factsOf(delivery.facts, body) }
}
