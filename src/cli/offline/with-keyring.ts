import type { Config } from '../../config/config.ts'
import type { Database } from '../../database/database.ts'
import { migrateToLatest } from '../../database/migrate.ts'
import { systemClock, type Clock } from '../../lib/clock.ts'
import type { InstanceKeyring } from '../../secrets/open-keyring.ts'
import { createRedactor } from '../../secrets/redactor.ts'
import { unlockKeyring } from '../../secrets/unlock-keyring.ts'
import { openRecords } from './open-records.ts'
import { whileStopped } from './running-server.ts'

export interface KeyringDeps {
  db: Database
  clock: Clock
  keyring: InstanceKeyring
}

/** Does work on the records and their keys in place of the server, which cannot start meanwhile. */
export async function withKeyring<Result>(
  config: Config,
  work: (deps: KeyringDeps) => Promise<Result>,
): Promise<Result> {
  return await whileStopped(config.dataDirectory, async () => {
    await using records = await openRecords(config)
    const { db } = records
    await migrateToLatest(db)
    const clock = systemClock
    const keyring = await unlockKeyring({ db, clock, config, redactor: createRedactor() })
    return await work({ db, clock, keyring })
  })
}
