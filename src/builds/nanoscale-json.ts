import { OperationError } from '../lib/errors.ts'
import type { Argv } from './build-plan.ts'
import { JsonSyntaxError, parseJsonWithLines } from './json-with-lines.ts'
import { splitCommand } from './split-command.ts'

/** What `nanoscale.json` may say. A command of null is a step that is left out. */
export interface NanoscaleJson {
  kind?: 'static' | 'node'
  rootDirectory?: string
  watchPaths?: readonly string[]
  install?: Argv | null
  build?: Argv | null
  start?: Argv
  release?: Argv
  outputDirectory?: string
  healthPath?: string
  singlePageApp?: boolean
}

type FieldType =
  | 'kind'
  | 'directory'
  | 'paths'
  | 'command'
  | 'optionalCommand'
  | 'urlPath'
  | 'boolean'

/** The one definition of the file: what reads it and the published schema both come from here. */
const FIELDS: Readonly<Record<keyof NanoscaleJson, { type: FieldType; description: string }>> = {
  kind: { type: 'kind', description: 'What the app is; detected when left out.' },
  rootDirectory: {
    type: 'directory',
    description: 'Directory of the app within the repository; every other path is relative to it.',
  },
  watchPaths: {
    type: 'paths',
    description: 'Only pushes that change a path which matches one of these globs deploy.',
  },
  install: {
    type: 'optionalCommand',
    description: 'Installs dependencies; false leaves the step out.',
  },
  build: { type: 'optionalCommand', description: 'Builds the app; false leaves the step out.' },
  start: { type: 'command', description: 'Starts the app, which listens on PORT.' },
  release: {
    type: 'command',
    description: 'Runs once before the new version starts, for example migrations.',
  },
  outputDirectory: {
    type: 'directory',
    description: 'What of the built tree is served or run; everything when left out.',
  },
  healthPath: { type: 'urlPath', description: 'Answers 2xx or 3xx as soon as the app is ready.' },
  singlePageApp: {
    type: 'boolean',
    description: 'Static sites: unknown paths answer with index.html.',
  },
}

/** Reads `nanoscale.json` strictly. Throws `build.invalid_configuration`, naming the file, the line and the field. */
export function parseNanoscaleJson(path: string, text: string): NanoscaleJson {
  const { value, lineOf } = parse(path, text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${path}:1`, 'the file must be an object: { … }')
  }
  const result: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value)) {
    if (name === '$schema') continue
    const at = `${path}:${lineOf(name)}`
    if (!Object.hasOwn(FIELDS, name)) {
      throw invalid(at, `"${name}" is not known; the fields are ${Object.keys(FIELDS).join(', ')}`)
    }
    const read = READERS[FIELDS[name as keyof NanoscaleJson].type](member)
    if ('reason' in read) throw invalid(at, `"${name}" ${read.reason}`)
    result[name] = read.value
  }
  return result
}

function parse(path: string, text: string) {
  try {
    return parseJsonWithLines(text.replace(/^\ufeff/, ''))
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error
    throw invalid(`${path}:${error.line}:${error.column}`, error.message)
  }
}

function invalid(place: string, reason: string): OperationError {
  return new OperationError('build.invalid_configuration', `Cannot use ${place}: ${reason}`)
}

type Read = { value: unknown } | { reason: string }

const READERS: Readonly<Record<FieldType, (value: unknown) => Read>> = {
  kind: (value) =>
    value === 'static' || value === 'node' ? { value } : { reason: 'must be "static" or "node"' },
  boolean: (value) =>
    typeof value === 'boolean' ? { value } : { reason: 'must be true or false' },
  directory: (value) =>
    typeof value === 'string'
      ? readDirectory(value)
      : { reason: 'must be a string in double quotes' },
  urlPath: (value) =>
    typeof value === 'string' && /^\/(?!\/)[^\s#\p{Cc}]*$/u.test(value)
      ? { value }
      : { reason: 'must be a path such as "/healthz"' },
  paths: (value) =>
    Array.isArray(value) && value.length <= 100 && value.every(isGlob)
      ? { value }
      : { reason: 'must be a list of up to 100 globs such as ["src/**"]' },
  optionalCommand: (value) => (value === false ? { value: null } : readCommand(value)),
  command: (value) => readCommand(value),
}

function isGlob(value: unknown): boolean {
  // Compared with the paths of a change, and never opened: `../shared/**` and `/shared/**` name the app's neighbours.
  return typeof value === 'string' && /^!?[^\\\p{Cc}]{1,1024}$/u.test(value)
}

/** A directory inside of the repository, without needless parts; refuses what climbs, is absolute or hides that. */
export function readDirectory(value: string): { value: string } | { reason: string } {
  const parts = value.split('/').filter((part) => part !== '' && part !== '.')
  const climbs = value.startsWith('/') || parts.includes('..')
  return climbs || /[\p{Cc}\\]|%2e|%2f|%5c|%00/iu.test(value)
    ? { reason: 'must be a directory inside the repository' }
    : { value: parts.join('/') || '.' }
}

/** A command as a line or as a list of words. */
export function readCommand(value: unknown): { value: Argv } | { reason: string } {
  if (typeof value === 'string') {
    const split = splitCommand(value)
    return split.kind === 'argv'
      ? { value: split.argv }
      : { reason: `cannot be run: ${split.reason}` }
  }
  if (!Array.isArray(value) || !value.every((word) => typeof word === 'string')) {
    return { reason: 'must be a command: a string, or a list of strings' }
  }
  const [first, ...rest] = value
  if (first === undefined || first === '') return { reason: 'is an empty command' }
  return value.some((word) => word.includes('\0'))
    ? { reason: 'contains a NUL character' }
    : { value: [first, ...rest] }
}

const COMMAND = {
  anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
}

const SCHEMA_TYPES: Readonly<Record<FieldType, object>> = {
  kind: { enum: ['static', 'node'] },
  boolean: { type: 'boolean' },
  directory: { type: 'string' },
  urlPath: { type: 'string', pattern: '^/' },
  paths: { type: 'array', items: { type: 'string' } },
  command: COMMAND,
  optionalCommand: { anyOf: [...COMMAND.anyOf, { const: false }] },
}

/** The schema that editors use; published as `nanoscale.schema.json`, and by each instance under that path. */
export function nanoscaleSchema(): Record<string, unknown> {
  const properties = Object.fromEntries(
    Object.entries(FIELDS).map(([name, { type, description }]) => [
      name,
      { description, ...SCHEMA_TYPES[type] },
    ]),
  )
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'nanoscale.json: how an app is built and run',
    type: 'object',
    properties: { $schema: { type: 'string' }, ...properties },
    additionalProperties: false,
  }
}
