import { constants } from 'node:fs'
import { open, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { systemErrorCode } from '../lib/errors.ts'
import { instanceLogName } from './log-names.ts'

/**
 * Where what an app prints is kept. The spawner owns `directory`, so that nobody plants links in it; rotated parts are
 * the platform's own, in `rotatedDirectory`, each named by the offset at which it begins.
 */
export interface InstanceLogPlaces {
  directory: string
  rotatedDirectory: string
}

/** A part of an instance's output: a rotated file, or the one that is written to. */
interface LogPart {
  path: string
  /** Offsets count from the instance's first byte on and never start again. */
  start: number
  size: number
}

export interface LogRange {
  bytes: Buffer
  /** Offset of the first byte; later than asked for when what was asked for is rotated away. */
  start: number
  /** Offset behind the last byte: where to go on. */
  end: number
}

/** Reads at most `maxBytes` from the offset on, within one part. Nothing is there yet: empty. */
export async function readInstanceLog(
  places: InstanceLogPlaces,
  instanceId: string,
  from: number,
  maxBytes: number,
): Promise<LogRange> {
  const parts = await listParts(places, instanceId)
  const part = parts.find((candidate) => from < candidate.start + candidate.size)
  const last = parts.at(-1)
  if (part === undefined) {
    // An offset behind the end is of a file that was lost: go on with what comes.
    const end = last === undefined ? 0 : Math.min(from, last.start + last.size)
    return { bytes: Buffer.alloc(0), start: end, end }
  }
  const start = Math.max(from, part.start)
  const bytes = await readRange(part.path, start - part.start, maxBytes)
  return { bytes, start, end: start + bytes.length }
}

/** The offset behind the instance's last byte. */
export async function endOfInstanceLog(
  places: InstanceLogPlaces,
  instanceId: string,
): Promise<number> {
  const last = (await listParts(places, instanceId)).at(-1)
  return last === undefined ? 0 : last.start + last.size
}

/** Of the rotated parts of an instance: their paths and starts, oldest first. */
export async function listRotatedParts(
  places: InstanceLogPlaces,
  instanceId: string,
): Promise<LogPart[]> {
  const prefix = `${instanceLogName(instanceId)}.`
  const names = await readdir(places.rotatedDirectory).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  })
  const parts: LogPart[] = []
  for (const name of names) {
    const suffix = name.startsWith(prefix) ? name.slice(prefix.length) : ''
    if (!/^\d{1,15}$/.test(suffix)) continue
    const path = join(places.rotatedDirectory, name)
    parts.push({ path, start: Number(suffix), size: await sizeOf(path) })
  }
  return parts.sort((left, right) => left.start - right.start)
}

export function currentLogPath(places: InstanceLogPlaces, instanceId: string): string {
  return join(places.directory, instanceLogName(instanceId))
}

/** Opens a log without following a link in its last place. */
export function openLog(path: string, flags: number): Promise<FileHandle> {
  return open(path, flags | constants.O_NOFOLLOW)
}

async function listParts(places: InstanceLogPlaces, instanceId: string): Promise<LogPart[]> {
  const rotated = await listRotatedParts(places, instanceId)
  const last = rotated.at(-1)
  const path = currentLogPath(places, instanceId)
  const start = last === undefined ? 0 : last.start + last.size
  return [...rotated, { path, start, size: await sizeOf(path) }]
}

async function sizeOf(path: string): Promise<number> {
  try {
    await using file = await openLog(path, constants.O_RDONLY)
    return (await file.stat()).size
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0
    throw error
  }
}

async function readRange(path: string, offset: number, maxBytes: number): Promise<Buffer> {
  try {
    await using file = await openLog(path, constants.O_RDONLY)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, offset)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
