import type { Database } from '../database/database.ts'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import { verifyCanaries } from './canaries.ts'
import { openKeyring, type InstanceKeyring } from './open-keyring.ts'
import type { Redactor } from './redactor.ts'

/**
 * The keyring of a start: opened, made at the first one, and proven to be the one that sealed what this database holds.
 * The keys themselves are hidden from every text that leaves us.
 */
export async function unlockKeyring(deps: {
  db: Database
  clock: Clock
  config: { encryptionKeys: Secret | null; dataDirectory: string }
  redactor: Redactor
}): Promise<InstanceKeyring> {
  const known = await deps.db.selectFrom('encryption_keys').select('id').limit(1).execute()
  const keyring = await openKeyring(deps.config, { createMissing: known.length === 0 })
  for (const { bytes } of keyring.keys) deps.redactor.add(Buffer.from(bytes).toString('base64'))
  await verifyCanaries(deps, deps.db, keyring)
  return keyring
}
