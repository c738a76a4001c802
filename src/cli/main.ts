import { CommanderError, type Command } from 'commander'

import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { createApiClient } from './api-client.ts'
import { CliError } from './cli-error.ts'
import { chooseConnection } from './connection.ts'
import { createProgram, type GlobalOptions } from './program.ts'
import type { Session } from './session.ts'

/** Commands that work without a running NanoScale, by their verb. Loaded when asked for: most bring the database along. */
export type OfflineCommands = Readonly<Record<string, () => Promise<Command>>>

/** Runs one command line and sets the exit code. */
export async function runCli(args: string[], offline: OfflineCommands): Promise<void> {
  // A reader such as `head` that has enough is no failure.
  process.stdout.on('error', () => process.exit(0))
  const program = createProgram(openSession)
  for (const command of await commandsToAdd(args, offline)) program.addCommand(command)
  for (const command of allOf(program)) command.exitOverride()
  try {
    if (args.length === 0) program.outputHelp()
    else await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error, args.includes('--json'))
  }
}

/** The one that is asked for, or all of them for help. */
async function commandsToAdd(
  args: readonly string[],
  offline: OfflineCommands,
): Promise<Command[]> {
  const verb = args.find((arg) => !arg.startsWith('-'))
  const named = verb === undefined ? undefined : offline[verb]
  if (named !== undefined) return [await named()]
  const load = verb === undefined ? Object.values(offline) : []
  return await Promise.all(load.map((command) => command()))
}

function allOf(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allOf(child)])
}

function openSession(options: GlobalOptions): Session {
  const connection = chooseConnection(options, process.env)
  return {
    client: createApiClient(connection),
    clock: systemClock,
    json: options.json === true,
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    fail: (exitCode) => {
      process.exitCode = exitCode
    },
  }
}

function report(error: unknown, json: boolean): number {
  // Commander has printed its sentence; help that was asked for is no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (!(error instanceof CliError) && !isOperationError(error)) throw error
  const exitCode = error instanceof CliError ? error.exitCode : 1
  const fix = error instanceof CliError ? error.fix : undefined
  const lines = fix === undefined ? [error.message] : [error.message, fix]
  const failure = {
    error: error.message,
    ...(fix === undefined ? {} : { fix }),
    exit_code: exitCode,
  }
  process.stderr.write(`${json ? JSON.stringify(failure) : lines.join('\n')}\n`)
  return exitCode
}
