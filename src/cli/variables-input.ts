import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { parseEnv } from 'node:util'

import { systemErrorCode } from '../lib/errors.ts'
import { CliError } from './cli-error.ts'

export interface VariableInput {
  name: string
  value: string
}

/** `NAME=value` each; the value is everything behind the first `=`. */
export function parseAssignments(assignments: readonly string[]): VariableInput[] {
  return assignments.map((assignment) => {
    const equals = assignment.indexOf('=')
    if (equals > 0)
      return { name: assignment.slice(0, equals), value: assignment.slice(equals + 1) }
    // Without its value: it may be a secret that was typed by mistake.
    throw new CliError(2, 'Cannot understand an assignment', 'Write each as NAME=value')
  })
}

/** Variables of a `.env` file; `-` reads standard input, so that secrets stay out of the shell's history. */
export async function readVariableFile(path: string): Promise<VariableInput[]> {
  const content = path === '-' ? await text(process.stdin) : await readText(path)
  return Object.entries(parseEnv(content)).map(([name, value]) => ({ name, value: value ?? '' }))
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new CliError(2, `Cannot read "${path}": ${systemErrorCode(error) ?? 'it failed'}`)
  }
}
