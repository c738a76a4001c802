import { OperationError } from '../lib/errors.ts'
import { requireId } from './place-paths.ts'
import type {
  Account,
  BuildAccount,
  Limits,
  Place,
  ProcessRef,
  ProcessSpec,
  ProjectAccount,
  RunSpec,
} from './spawner.ts'

/**
 * Reads what a client sent, field by field. The client may be in the hands of somebody: what is not exactly of its
 * type, or would be more than the spawner promises, is refused with `spawner.invalid_message`, and nothing that is not
 * read here is passed on.
 */
type Fields = Readonly<Record<string, unknown>>

const UNIT = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/
const BOOT_ID = /^[a-f0-9-]{1,64}$/
const TICKS = /^[0-9]{1,20}$/
const MAX_WAIT_MS = 86_400_000
const MAX_OUTPUT_BYTES = 67_108_864

export function readFields(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(name)
  return value as Fields
}

export function readProcessSpec(value: unknown): ProcessSpec {
  const fields = readFields(value, 'spec')
  return { ...readCommandSpec(fields), log: readText(fields['log'], 'log') }
}

export function readRunSpec(value: unknown): RunSpec {
  const fields = readFields(value, 'spec')
  const { stdin, maxOutputBytes } = fields
  return {
    ...readCommandSpec(fields),
    timeoutMs: readInteger(fields['timeoutMs'], 'timeoutMs', 1, MAX_WAIT_MS),
    ...(stdin === undefined ? {} : { stdin: readString(stdin, 'stdin') }),
    ...(maxOutputBytes === undefined
      ? {}
      : { maxOutputBytes: readInteger(maxOutputBytes, 'maxOutputBytes', 0, MAX_OUTPUT_BYTES) }),
  }
}

function readCommandSpec(fields: Fields) {
  const { mirror, app } = fields
  return {
    unit: readUnit(fields['unit']),
    account: readAccount(fields['account']),
    ...(mirror === undefined ? {} : { mirror: requireId(readText(mirror, 'mirror')) }),
    ...(app === undefined ? {} : { app: requireId(readText(app, 'app')) }),
    argv: readArgv(fields['argv']),
    env: readEnvironment(fields['env']),
    directory: readDirectory(fields['directory']),
    limits: readLimits(fields['limits']),
  }
}

export function readAccount(value: unknown): Account {
  const { kind, slot } = readFields(value, 'account')
  if (kind !== 'build' && kind !== 'project') throw invalid('account.kind')
  return { kind, slot: readInteger(slot, 'account.slot', 0, 1_000_000) }
}

export function readBuildAccount(value: unknown): BuildAccount {
  const { kind, slot } = readAccount(value)
  if (kind !== 'build') throw invalid('account.kind')
  return { kind, slot }
}

export function readReader(value: unknown): ProjectAccount | 'platform' {
  if (value === 'platform') return value
  const { kind, slot } = readAccount(value)
  if (kind !== 'project') throw invalid('reader')
  return { kind, slot }
}

/** The area and the id are judged where the path is made of them. */
export function readPlace(value: unknown): Place {
  const { area, id } = readFields(value, 'place')
  return { area: readText(area, 'place.area') as Place['area'], id: readText(id, 'place.id') }
}

function readDirectory(value: unknown): Place & { path?: string } {
  const { path } = readFields(value, 'directory')
  return { ...readPlace(value), ...(path === undefined ? {} : { path: readText(path, 'path') }) }
}

export function readProcessRef(value: unknown): ProcessRef {
  const { unit, pid, startTicks, bootId } = readFields(value, 'process')
  if (typeof startTicks !== 'string' || !TICKS.test(startTicks)) throw invalid('startTicks')
  if (typeof bootId !== 'string' || !BOOT_ID.test(bootId)) throw invalid('bootId')
  return { unit: readUnit(unit), pid: readInteger(pid, 'pid', 2, 2 ** 31), startTicks, bootId }
}

export function readGraceMs(value: unknown): number {
  return readInteger(readFields(value, 'options')['graceMs'], 'graceMs', 0, MAX_WAIT_MS)
}

function readUnit(value: unknown): string {
  if (typeof value !== 'string' || !UNIT.test(value)) throw invalid('unit')
  return value
}

function readLimits(value: unknown): Limits {
  const { maxProcesses, maxOpenFiles, maxFileBytes, maxDataBytes } = readFields(value, 'limits')
  return {
    maxProcesses: readInteger(maxProcesses, 'limits.maxProcesses', 1, 1_000_000),
    maxOpenFiles: readInteger(maxOpenFiles, 'limits.maxOpenFiles', 16, 10_000_000),
    ...(maxFileBytes === undefined
      ? {}
      : { maxFileBytes: readBytes(maxFileBytes, 'maxFileBytes') }),
    ...(maxDataBytes === undefined
      ? {}
      : { maxDataBytes: readBytes(maxDataBytes, 'maxDataBytes') }),
  }
}

function readBytes(value: unknown, name: keyof Limits): number {
  return readInteger(value, `limits.${name}`, 0, Number.MAX_SAFE_INTEGER)
}

function readArgv(value: unknown): readonly [string, ...string[]] {
  if (!Array.isArray(value)) throw invalid('argv')
  const [file, ...args] = value.map((part) => readText(part, 'argv'))
  // The tool that starts it would take a first word with "=" for a variable.
  if (file === undefined || file === '' || file.includes('=')) throw invalid('argv[0]')
  return [file, ...args]
}

/** Names must not hold "=", values no NUL: the kernel would cut or shift them. Everything else is passed byte by byte. */
function readEnvironment(value: unknown): Record<string, string> {
  const entries = Object.entries(readFields(value, 'env')).map(([name, value]) => {
    if (name === '' || name.includes('=') || name.includes('\0')) throw invalid('env')
    return [name, readText(value, `env.${name}`)] as const
  })
  return Object.fromEntries(entries)
}

export function readText(value: unknown, name: string): string {
  const text = readString(value, name)
  if (text.includes('\0')) throw invalid(name)
  return text
}

function readString(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalid(name)
  return value
}

function readInteger(value: unknown, name: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value
  }
  throw invalid(name)
}

/** Names the field and never repeats its value, which may be a secret. */
export function invalid(name: string): OperationError {
  return new OperationError(
    'spawner.invalid_message',
    `Cannot use the message: "${name}" is missing or not of its type or range`,
  )
}
