import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { keyStatus } from './key-status.ts'
import type { InstanceKeyring } from './open-keyring.ts'

/**
 * Takes a key that seals nothing any more out of use, and out of the key file. Throws `keyring.not_found` and
 * `keyring.in_use`. Backups from before the rotation still need it.
 */
export async function retireKey(
  deps: { db: Database; clock: Clock; keyring: InstanceKeyring },
  id: string,
): Promise<void> {
  const key = (await keyStatus(deps)).keys.find((candidate) => candidate.id === id)
  if (key === undefined) {
    throw new OperationError('keyring.not_found', `Cannot retire key "${id}": there is no such key`)
  }
  if (key.current) {
    throw new OperationError(
      'keyring.in_use',
      `Cannot retire key "${id}": it is the one that seals. Run: nanoscale keys rotate`,
    )
  }
  if (key.sealedValues > 0) {
    throw new OperationError(
      'keyring.in_use',
      `Cannot retire key "${id}": ${key.sealedValues} stored secrets are sealed with it. Run: nanoscale keys rotate`,
    )
  }
  // Noted before it is removed: interrupted between the two it is done again, and harmless.
  await deps.db
    .updateTable('encryption_keys')
    .set({ retired_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', id)
    .where('retired_at', 'is', null)
    .execute()
  if (key.inKeyring) await deps.keyring.removeKey(id)
}
