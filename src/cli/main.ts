import { CommanderError, type Command } from 'commander'

import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { createApiClient } from './api-client.ts'
import { CliError } from './cli-error.ts'
import { chooseConnection } from './connection.ts'
import { printable } from './format.ts'
import { createProgram, type GlobalOptions } from './program.ts'
import type { Session } from './session.ts'

/**
 * Commands that work without a running NanoScale, by their words. Loaded when asked for: most bring the database along.
 */
export type OfflineCommands = Readonly<Record<string, () => Promise<Command>>>

/** Runs one command line and sets the exit code. */
export async function runCli(args: string[], offline: OfflineCommands): Promise<void> {
  // A reader such as `head` that has enough is no failure.
  process.stdout.on('error', () => process.exit(0))
  const program = createProgram(openSession)
  for (const { parent, command } of await commandsToAdd(args, offline)) {
    findCommand(program, parent).addCommand(command)
  }
  for (const command of allOf(program)) command.exitOverride()
  try {
    if (args.length === 0) program.outputHelp()
    else await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error, args.includes('--json'))
  }
}

/** Those that the words may mean: all of them for help. */
async function commandsToAdd(
  args: readonly string[],
  offline: OfflineCommands,
): Promise<{ parent: string[]; command: Command }[]> {
  const given = args.filter((arg) => !arg.startsWith('-'))
  const meant = Object.entries(offline).filter(([name]) =>
    name.split(' ').every((word, index) => (given[index] ?? word) === word),
  )
  return await Promise.all(
    meant.map(async ([name, load]) => ({
      parent: name.split(' ').slice(0, -1),
      command: await load(),
    })),
  )
}

/** The command of these words, which the program has. */
function findCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((within, word) => {
    const found = within.commands.find((command) => command.name() === word)
    if (found === undefined) throw new Error(`There is no command "${word}"`)
    return found
  }, program)
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
    err: (line) => process.stderr.write(`${printable(line)}\n`),
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
  process.stderr.write(`${json ? JSON.stringify(failure) : printable(lines.join('\n'))}\n`)
  return exitCode
}
