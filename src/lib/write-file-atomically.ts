import { randomUUID } from 'node:crypto'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

import { systemErrorCode } from './errors.ts'

interface FileOptions {
  /** Default: 0600. */
  mode?: number
  /** As root, gives the file to whoever owns its directory: the platform's user, who is to read it. */
  ownedAsDirectory?: boolean
}

/**
 * Replaces a file so that a crash leaves the old one or the new one, never a part: written beside it, flushed, renamed,
 * and the rename flushed too. Of several writers at once the last one counts.
 */
export async function writeFileAtomically(
  path: string,
  content: string,
  options: FileOptions = {},
): Promise<void> {
  const temporary = await writeBeside(path, content, options)
  try {
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await flushDirectory(dirname(path))
}

/** Makes a file in the same way, unless there is one: then that stays, and the answer is false. */
export async function createFileAtomically(
  path: string,
  content: string,
  options: FileOptions = {},
): Promise<boolean> {
  const temporary = await writeBeside(path, content, options)
  try {
    // Unlike a rename, a link never replaces what is there already.
    await link(temporary, path)
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
    await flushDirectory(dirname(path))
  }
  return true
}

async function writeBeside(path: string, content: string, options: FileOptions): Promise<string> {
  const temporary = `${path}.${randomUUID()}.new`
  try {
    // `wx` makes the file or fails, and so follows no link that somebody else may have put there.
    await using file = await open(temporary, 'wx', options.mode ?? 0o600)
    if (options.ownedAsDirectory === true && process.getuid?.() === 0) {
      const { uid, gid } = await lstat(dirname(path))
      await file.chown(uid, gid)
    }
    await file.writeFile(content)
    await file.sync()
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  return temporary
}

async function flushDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}
