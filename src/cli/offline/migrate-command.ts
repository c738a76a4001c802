import { Command } from 'commander'

import { loadConfig } from '../../config/config.ts'
import { migrateDown, migrateToLatest } from '../../database/migrate.ts'
import { openRecords } from './open-records.ts'
import { whileStopped } from './running-server.ts'

/** `nanoscale migrate`: the start does it by itself; this is for doing it ahead, and for going back. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('Bring the database to the newest schema (each start does this by itself)')
    .option('--down', 'take the newest migration back instead: what only it can hold is lost')
    .action(async (options: { down?: boolean }) => {
      const config = loadConfig(process.env)
      const names = await whileStopped(config.dataDirectory, async () => {
        await using records = await openRecords(config)
        return options.down === true
          ? await migrateDown(records.db)
          : await migrateToLatest(records.db)
      })
      if (names.length === 0) console.log('There is nothing to migrate')
      for (const name of names) console.log(`${options.down === true ? 'down' : 'up'} ${name}`)
    })
}
