import { constants } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { systemErrorCode } from '../lib/errors.ts'
import {
  currentLogPath,
  listRotatedParts,
  openLog,
  type InstanceLogPlaces,
} from './instance-logs.ts'

const ROTATE_ABOVE_BYTES = 10 * 1_048_576
const KEPT_PARTS = 3
const CHUNK_BYTES = 1_048_576

/**
 * Keeps the logs of running instances small: one above 10 MiB is copied aside and emptied, three such parts are kept.
 * Emptied in place, because the app holds it open. Returns the instances whose log was rotated.
 */
export async function rotateInstanceLogs(
  places: InstanceLogPlaces,
  instanceIds: readonly string[],
  options: { aboveBytes?: number } = {},
): Promise<string[]> {
  const rotated: string[] = []
  for (const instanceId of instanceIds) {
    const done = await rotateLog(places, instanceId, options.aboveBytes ?? ROTATE_ABOVE_BYTES)
    if (done) rotated.push(instanceId)
  }
  return rotated
}

/** Removes the rotated parts of an instance; its log itself is the spawner's to remove. */
export async function removeRotatedLogs(
  places: InstanceLogPlaces,
  instanceId: string,
): Promise<void> {
  for (const part of await listRotatedParts(places, instanceId))
    await rm(part.path, { force: true })
}

/** Removes rotated parts of instances that `keeps` does not know any more. */
export async function removeOrphanedLogs(
  places: InstanceLogPlaces,
  keeps: (instanceId: string) => boolean,
): Promise<void> {
  const names = await readdir(places.rotatedDirectory).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) {
    const instanceId = /^instance-(.+)\.log\.(\d+|new)$/.exec(name)?.[1]
    if (instanceId === undefined || keeps(instanceId)) continue
    await rm(join(places.rotatedDirectory, name), { force: true })
  }
}

async function rotateLog(
  places: InstanceLogPlaces,
  instanceId: string,
  aboveBytes: number,
): Promise<boolean> {
  const path = currentLogPath(places, instanceId)
  try {
    await using log = await openLog(path, constants.O_RDWR)
    if ((await log.stat()).size <= aboveBytes) return false
    await mkdir(places.rotatedDirectory, { recursive: true, mode: 0o700 })
    const parts = await listRotatedParts(places, instanceId)
    const last = parts.at(-1)
    const start = last === undefined ? 0 : last.start + last.size
    const target = join(places.rotatedDirectory, `instance-${instanceId}.log.${start}`)
    await copyAll(log, `${target.slice(0, -String(start).length)}new`, target)
    await log.truncate(0)
    for (const part of parts.slice(0, Math.max(0, parts.length + 1 - KEPT_PARTS))) {
      await rm(part.path, { force: true })
    }
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Copies until nothing more comes, so that hardly anything falls between the copy and the emptying. */
async function copyAll(
  log: Awaited<ReturnType<typeof openLog>>,
  temporary: string,
  target: string,
): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC
  await using copy = await openLog(temporary, flags)
  await copy.chmod(0o600)
  const buffer = Buffer.alloc(CHUNK_BYTES)
  // A program that prints faster than we copy would hold us here for ever.
  const limit = 16 * ROTATE_ABOVE_BYTES
  for (let offset = 0; offset < limit;) {
    const { bytesRead } = await log.read(buffer, 0, buffer.length, offset)
    if (bytesRead === 0) break
    await copy.write(buffer, 0, bytesRead, offset)
    offset += bytesRead
  }
  await rename(temporary, target)
}
