import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { SYSTEM } from './actor.ts'
import {
  GENESIS,
  macOf,
  readChainRow,
  selectStored,
  signed,
  type ChainPosition,
} from './audit-chain.ts'
import { recordAuditEvent } from './record-audit-event.ts'
import { broken, takeHead, trusted } from './seal-audit-events.ts'

interface PruneDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'seal' | 'open'>
  config: { auditRetentionDays: number }
}

const DAY_MS = 86_400_000
const BATCH = 500

/** The daily sweep that removes audit events which are older than they are kept. */
export function auditRetentionJob(deps: PruneDeps): RecurringJob {
  return {
    name: 'prune-audit',
    everySeconds: 86_400,
    leaseSeconds: 900,
    run: async (signal) => {
      await pruneAudit(deps, signal)
    },
  }
}

/**
 * Removes old events from the beginning of the chain and leaves a signed checkpoint, from which the chain is verified
 * then. Returns how many it removed. What was tampered with is never removed: `audit.broken` instead, so that nobody
 * gets rid of an event by making it look old.
 */
export async function pruneAudit(deps: PruneDeps, signal?: AbortSignal): Promise<number> {
  const secret = await readInstanceSecret(deps, 'audit')
  const before = toIsoTime(deps.clock.now() - deps.config.auditRetentionDays * DAY_MS)
  let removed = 0
  for (;;) {
    signal?.throwIfAborted()
    const count = await inTransaction(deps.db, async (tx) => {
      const pruned = await pruneBatch(deps, tx, { secret, before })
      // With the first ones, so that nothing is ever removed without it.
      if (removed === 0 && pruned > 0) await recordPruning(deps, tx, before)
      return pruned
    })
    removed += count
    if (count < BATCH) return removed
  }
}

async function recordPruning(deps: PruneDeps, tx: Tx, before: string): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId: null,
    by: SYSTEM,
    action: 'audit.pruned',
    details: { occurred_before: before, retention_days: deps.config.auditRetentionDays },
  })
}

async function pruneBatch(
  { clock }: PruneDeps,
  tx: Tx,
  { secret, before }: { secret: Buffer; before: string },
): Promise<number> {
  const head = await takeHead(tx, 'wait')
  if (head === undefined) return 0
  trusted(secret, head)
  const checkpoint = await readChainRow(tx, 'checkpoint')
  let at: ChainPosition = checkpoint === undefined ? GENESIS : trusted(secret, checkpoint)
  const events = await selectStored(tx)
    .where('sequence', 'is not', null)
    .orderBy('sequence')
    .limit(BATCH)
    .execute()
  let count = 0
  for (const event of events) {
    if (event.occurred_at >= before) break
    const next = { sequence: at.sequence + 1, mac: macOf(secret, at, event) }
    if (event.sequence !== next.sequence || event.mac !== next.mac) {
      throw broken(`event ${event.id} is not as it was sealed`)
    }
    at = next
    count += 1
  }
  if (count === 0) return 0
  await tx.deleteFrom('audit_events').where('sequence', '<=', at.sequence).execute()
  const { name, ...row } = signed(secret, 'checkpoint', at, toIsoTime(clock.now()))
  await tx
    .insertInto('audit_chain')
    .values({ name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute()
  return count
}
