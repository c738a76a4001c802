import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'

import { systemErrorCode } from '../lib/errors.ts'
import type { ProcessIdentity } from '../lib/process-identity.ts'

const MAX_BYTES = 65_536

/** A platform process as the next spawner finds it again. */
export interface PlatformRecord extends ProcessIdentity {
  /** Names the program that it runs, with its settings: another one replaces it. */
  programHash: string
}

export interface PlatformState {
  read(name: string): PlatformRecord | null
  write(name: string, record: PlatformRecord | null): void
}

/**
 * The file of the platform processes, replaced whole at each change. Its directory is the platform user's, who may put
 * anything there: links are not followed, and whoever reads a pid here looks at its owner before it sends a signal.
 * Synchronous, so that nothing comes between starting a process and recording it.
 */
export function openPlatformState(path: string): PlatformState {
  const records = new Map(Object.entries(readRecords(path)))
  return {
    read: (name) => records.get(name) ?? null,
    write(name, record) {
      if (record === null) records.delete(name)
      else records.set(name, record)
      const staged = `${path}.${randomUUID()}`
      // `wx` creates it or fails, and so follows no link.
      writeFileSync(staged, JSON.stringify(Object.fromEntries(records)), {
        flag: 'wx',
        mode: 0o600,
      })
      renameSync(staged, path)
    },
  }
}

function readRecords(path: string): Record<string, PlatformRecord> {
  const text = readPlainFile(path)
  if (text === null) return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return {}
    return Object.fromEntries(Object.entries(value).filter(isRecordEntry))
  } catch {
    // Not ours any more: the processes are started anew.
    return {}
  }
}

function readPlainFile(path: string): string | null {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ELOOP') return null
    throw error
  }
  try {
    const facts = fstatSync(file)
    return facts.isFile() && facts.size <= MAX_BYTES ? readFileSync(file, 'utf8') : null
  } finally {
    closeSync(file)
  }
}

function isRecordEntry(entry: [string, unknown]): entry is [string, PlatformRecord] {
  const record = entry[1] as Partial<Record<keyof PlatformRecord, unknown>> | null
  return (
    typeof record === 'object' &&
    record !== null &&
    Number.isSafeInteger(record.pid) &&
    typeof record.startTicks === 'string' &&
    typeof record.bootId === 'string' &&
    typeof record.programHash === 'string'
  )
}
