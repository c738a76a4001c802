/** A spawner as a process of its own, for tests that run it as another user than themselves: `<data directory>`. */
import { join } from 'node:path'

import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import { prepareDirectories } from './data-directories.ts'
import { createLocalSpawner } from './local-spawner.ts'
import { startSpawnerServer } from './spawner-server.ts'

const [, , dataDirectory = ''] = process.argv
await prepareDirectories(dataDirectory, null)
const spawner = createLocalSpawner({
  dataDirectory,
  platformUser: null,
  accounts: null,
  clock: systemClock,
})
await startSpawnerServer({
  spawner,
  socketPath: join(dataDirectory, 'run', 'spawner.sock'),
  stagingDirectory: dataDirectory,
  socketOwner: null,
  log: silentLogger,
})
process.stdout.write('ready\n')
