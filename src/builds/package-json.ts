import { OperationError } from '../lib/errors.ts'
import type { RepositoryFacts } from '../sources/repository-facts.ts'
import { JsonSyntaxError, parseJsonWithLines } from './json-with-lines.ts'

/** What planning uses of `package.json`. */
export interface PackageJson {
  scripts: Readonly<Record<string, string>>
  main: string | null
  /** Names of all dependencies, development ones too. */
  dependencies: readonly string[]
  nodeRange: string | null
  /** As in `pnpm@10.1.0`. */
  packageManager: string | null
  hasWorkspaces: boolean
}

/** Null when there is none. Throws `build.invalid_configuration` when it is no JSON object. */
export function readPackageJson(facts: RepositoryFacts): PackageJson | null {
  const text = facts.texts['package.json']
  if (text === undefined) return null
  const value = parse(text)
  if (!isRecord(value)) throw invalid('package.json:1', 'the file must be an object')
  const names = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((key) =>
    Object.keys(record(value[key])),
  )
  const main = string(value['main'])
  return {
    scripts: strings(value['scripts']),
    main: main === null || main.split('/').includes('..') || main.startsWith('/') ? null : main,
    dependencies: names,
    nodeRange: string(record(value['engines'])['node']),
    packageManager: string(value['packageManager']),
    hasWorkspaces: value['workspaces'] !== undefined,
  }
}

function parse(text: string): unknown {
  try {
    return parseJsonWithLines(text.replace(/^\ufeff/, '')).value
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error
    throw invalid(`package.json:${error.line}:${error.column}`, error.message)
  }
}

function invalid(place: string, reason: string): OperationError {
  return new OperationError('build.invalid_configuration', `Cannot use ${place}: ${reason}`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}

function string(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function strings(value: unknown): Record<string, string> {
  const entries = Object.entries(record(value))
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
