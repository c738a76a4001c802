import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { OperationError, systemErrorCode } from '../lib/errors.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/

/**
 * Opens a log for a process to append to. The directory is root's, so nobody can plant a link there; links are refused
 * all the same. The file is the platform user's: it may read and truncate, and tenants may do neither.
 */
export async function openLog(
  directory: string,
  log: string,
  owner: { uid: number; gid: number } | null,
): Promise<FileHandle> {
  const path = logPath(directory, log)
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
  try {
    // Non-blocking, so that a pipe in its place cannot hold us; regular files do not care.
    const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    try {
      const facts = await file.stat()
      if (!facts.isFile() || facts.nlink !== 1) throw notAFile(log)
      await file.chmod(0o600)
      if (owner !== null) await file.chown(owner.uid, owner.gid)
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ELOOP') throw notAFile(log)
    throw error
  }
}

export async function removeLog(directory: string, log: string): Promise<void> {
  try {
    await unlink(logPath(directory, log))
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error
  }
}

function logPath(directory: string, log: string): string {
  if (!NAME.test(log)) {
    throw new OperationError(
      'spawner.invalid_log',
      `Cannot use the log "${log}": required is a file name of letters, digits, ".", "_" and "-"`,
    )
  }
  return join(directory, log)
}

function notAFile(log: string): OperationError {
  return new OperationError(
    'spawner.invalid_log',
    `Cannot write to the log "${log}": it is no plain file`,
  )
}
