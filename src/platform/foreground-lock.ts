import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { OperationError } from '../lib/errors.ts'
import { acquireLock } from '../lib/lock-file.ts'
import { identityOf, isSameProcessAlive, type ProcessIdentity } from '../lib/process-identity.ts'

/**
 * Makes this process the one that runs NanoScale on a data directory. Throws `start.already_running` when another does;
 * its death, however it dies, gives the lock back.
 */
export async function takeForegroundLock(dataDirectory: string): Promise<AsyncDisposable> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o711 })
  const path = join(dataDirectory, 'start.lock')
  const lock = acquireLock(path)
  // Another user's read lock on it would keep us from starting.
  if (lock !== null) await chmod(path, 0o600)
  if (lock === null) {
    const running = await readForeground(dataDirectory)
    const who = running === null ? 'another process' : `process ${running.pid}`
    throw new OperationError(
      'start.already_running',
      `Cannot start NanoScale on "${dataDirectory}": ${who} runs it already; end that with "nanoscale stop", or set NANOSCALE_DATA_DIR to another directory`,
    )
  }
  await writeFile(foregroundFile(dataDirectory), JSON.stringify(identityOf(process.pid)))
  return lock
}

/** The process that runs NanoScale on this data directory now, or null. */
export async function readForeground(dataDirectory: string): Promise<ProcessIdentity | null> {
  const text = await readFile(foregroundFile(dataDirectory), 'utf8').catch(() => 'null')
  const identity = JSON.parse(text) as ProcessIdentity | null
  return identity !== null && isSameProcessAlive(identity) ? identity : null
}

function foregroundFile(dataDirectory: string): string {
  return join(dataDirectory, 'start.json')
}
