import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { DeploymentRow } from './enter-state.ts'

/** A worker that says nothing for this long has lost its deployment. */
export const LEASE_MS = 30_000
const HEARTBEAT_MS = 10_000

/**
 * Extends the lease of a running deployment until the signal aborts. Calls `onLost` when another worker holds it, or
 * when it could not be extended in time, and `onCancelling` when somebody moved it to `cancelling`.
 */
export async function keepLease(
  deps: { clock: Clock; db: Database; log: Logger },
  deployment: Pick<DeploymentRow, 'id' | 'lease_token'>,
  notify: { onLost: () => void; onCancelling: () => void },
  signal: AbortSignal,
): Promise<void> {
  let extendedAt = deps.clock.now()
  while (!signal.aborted) {
    await deps.clock.sleep(HEARTBEAT_MS, signal).catch(() => {})
    if (signal.aborted) return
    try {
      const state = await extendLease(deps, deployment)
      if (state === undefined) return notify.onLost()
      if (state === 'cancelling') notify.onCancelling()
      extendedAt = deps.clock.now()
    } catch (error) {
      deps.log.warn('A lease was not extended', {
        deploymentId: deployment.id,
        error: messageOf(error),
      })
      if (deps.clock.now() - extendedAt >= LEASE_MS) return notify.onLost()
    }
  }
}

async function extendLease(
  deps: { clock: Clock; db: Database },
  deployment: Pick<DeploymentRow, 'id' | 'lease_token'>,
) {
  const row = await deps.db
    .updateTable('deployments')
    .set({ lease_expires_at: toIsoTime(deps.clock.now() + LEASE_MS) })
    .where('id', '=', deployment.id)
    .where('lease_token', '=', deployment.lease_token)
    .returning('state')
    .executeTakeFirst()
  return row?.state
}
