import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { OperationError, systemErrorCode } from '../lib/errors.ts'
import { acquireLock } from '../lib/lock-file.ts'
import { writeFileAtomically } from '../lib/write-file-atomically.ts'

const LOCK_PATIENCE_MS = 10_000
const LOCK_POLL_MS = 20

/** Which data directory of this machine has which range of ids, as long as it is open to nobody else. */
export interface AccountClaims extends AsyncDisposable {
  /** Data directory by base. */
  holders: ReadonlyMap<number, string>
  claim(base: number, dataDirectory: string): Promise<void>
  drop(base: number): Promise<void>
}

/**
 * Opens the machine's register: a directory with one file per range, named by its base, that holds a path. It is there
 * for data directories of which nothing runs now. Where the file system is read-only there is none, and no claim.
 * Throws `start.accounts_locked`.
 */
export async function openAccountClaims(
  deps: { clock: Clock },
  register: string,
): Promise<AccountClaims> {
  try {
    await mkdir(register, { recursive: true, mode: 0o755 })
  } catch (error) {
    if (systemErrorCode(error) !== 'EROFS') throw error
    const nothing = () => Promise.resolve()
    return { holders: new Map(), claim: nothing, drop: nothing, [Symbol.asyncDispose]: nothing }
  }
  const lock = await takeLock(deps, join(register, 'lock'))
  const holders = new Map<number, string>()
  for (const name of await readdir(register)) {
    if (/^[0-9]+$/.test(name)) {
      holders.set(Number(name), await readFile(join(register, name), 'utf8'))
    }
  }
  return {
    holders,
    async claim(base, dataDirectory) {
      if (holders.get(base) === dataDirectory) return
      await writeFileAtomically(join(register, String(base)), dataDirectory)
      holders.set(base, dataDirectory)
    },
    async drop(base) {
      await rm(join(register, String(base)), { force: true })
      holders.delete(base)
    },
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  }
}

async function takeLock(deps: { clock: Clock }, path: string): Promise<AsyncDisposable> {
  const deadline = deps.clock.now() + LOCK_PATIENCE_MS
  for (;;) {
    const lock = acquireLock(path)
    if (lock !== null) return lock
    if (deps.clock.now() > deadline) {
      throw new OperationError(
        'start.accounts_locked',
        `Cannot use "${path}": another process has held it for ${LOCK_PATIENCE_MS / 1000} s`,
      )
    }
    await deps.clock.sleep(LOCK_POLL_MS)
  }
}
