/** The traffic process as a process of its own, for tests that end it. Arguments: directory, port, drain in ms. */
import { createLogger } from '../lib/logger.ts'
import { pathsIn } from './_test-servers.ts'
import { runTrafficProcess } from './traffic-process.ts'

const [directory = '', port = '0', drainMs = '2000'] = process.argv.slice(2)
await runTrafficProcess({
  bind: '127.0.0.1',
  port: Number(port),
  trustedProxies: [],
  drainMs: Number(drainMs),
  log: createLogger({ level: 'info', write: (line) => process.stdout.write(line) }),
  ...pathsIn(directory),
})
