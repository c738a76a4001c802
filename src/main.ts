import process from 'node:process'

import { isOperationError, OperationError } from './lib/errors.ts'
import { startFromCache } from './platform/start-from-cache.ts'

/** Commands of the command line that work without a running NanoScale. */
const OFFLINE = {
  'audit verify': async () => (await import('./cli/offline/audit-command.ts')).verifyCommand(),
  config: async () => (await import('./cli/offline/config-command.ts')).configCommand(),
  demo: async () => (await import('./cli/demo/demo-command.ts')).demoCommand(),
  doctor: async () => (await import('./cli/offline/doctor-command.ts')).doctorCommand(),
  keys: async () => (await import('./cli/offline/keys-command.ts')).keysCommand(),
  migrate: async () => (await import('./cli/offline/migrate-command.ts')).migrateCommand(),
}

/** What the verbs that are not the command line's understand after their name. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = { start: [], stop: ['--all'] }

/** Each verb loads only what it needs: the foreground and the traffic process stay small, the command line quick. */
async function run([verb = '', ...words]: readonly string[]): Promise<void> {
  const wantsHelp = words.includes('--help') || words.includes('-h')
  if (verb in OPTIONS && !wantsHelp) refuseOthers(verb, words)
  switch (wantsHelp && verb in OPTIONS ? '--help' : verb) {
    case '--help':
      return (await import('./cli/main.ts')).runCli(['--help'], OFFLINE)
    case 'start': {
      const { start } = await import('./start.ts')
      await startFromCache()
      return start(process.env)
    }
    case 'stop':
      return (await import('./stop.ts')).stop(process.env, { all: words.includes('--all') })
    case 'control': {
      const { runControl } = await import('./control.ts')
      await startFromCache()
      return runControl(process.env)
    }
    case 'traffic': {
      const { runTraffic } = await import('./run-traffic.ts')
      await startFromCache()
      return runTraffic(process.env)
    }
    default:
      return (await import('./cli/main.ts')).runCli(process.argv.slice(2), OFFLINE)
  }
}

function refuseOthers(verb: string, words: readonly string[]): void {
  const other = words.find((word) => OPTIONS[verb]?.includes(word) !== true)
  if (other === undefined) return
  const sentence = `Cannot understand "${other}" after "nanoscale ${verb}": see nanoscale --help`
  throw new OperationError('cli.unknown_option', sentence)
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  // What a person can act on is one sentence; a defect keeps its stack.
  if (!isOperationError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
