import process from 'node:process'

import { isOperationError } from './lib/errors.ts'

/** Commands of the command line that work without a running NanoScale. */
const OFFLINE = {
  config: async () => (await import('./cli/offline/config-command.ts')).configCommand(),
  demo: async () => (await import('./cli/demo/demo-command.ts')).demoCommand(),
  doctor: async () => (await import('./cli/offline/doctor-command.ts')).doctorCommand(),
  keys: async () => (await import('./cli/offline/keys-command.ts')).keysCommand(),
  migrate: async () => (await import('./cli/offline/migrate-command.ts')).migrateCommand(),
}

/** Each verb loads only what it needs: the foreground and the traffic process stay small, the command line quick. */
async function run(verb = ''): Promise<void> {
  switch (verb) {
    case 'start':
      return (await import('./start.ts')).start(process.env)
    case 'stop':
      return (await import('./stop.ts')).stop(process.env, process.argv.slice(3))
    case 'control':
      return (await import('./control.ts')).runControl(process.env)
    case 'traffic':
      return (await import('./run-traffic.ts')).runTraffic(process.env)
    default:
      return (await import('./cli/main.ts')).runCli(process.argv.slice(2), OFFLINE)
  }
}

try {
  await run(process.argv[2])
} catch (error) {
  // What a person can act on is one sentence; a defect keeps its stack.
  if (!isOperationError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
