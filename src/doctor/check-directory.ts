import { access, constants, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { systemErrorCode } from '../lib/errors.ts'
import { nearestExisting } from './check-host.ts'
import { failed, ok, warning, type Finding } from './finding.ts'

/** Directories of which nobody else may see anything. */
const CLOSED = ['keys', 'database', 'run']

/** The rights of the data directory, as this process and the users of apps have them. */
export async function checkDataDirectory(dataDirectory: string, uid: number): Promise<Finding> {
  const check = 'data_directory'
  const nearest = nearestExisting(dataDirectory)
  try {
    await access(nearest, constants.W_OK | constants.X_OK)
  } catch {
    return failed(
      check,
      `This user may not write to ${nearest}`,
      'Run it as the user that NanoScale runs as, or set NANOSCALE_DATA_DIR to a directory of your own',
    )
  }
  const closed = uid === 0 ? await closedParent(nearest) : null
  if (closed !== null) {
    return failed(
      check,
      `Other users may not pass through ${closed}, so apps could not run`,
      'Set NANOSCALE_DATA_DIR to a directory such as /var/lib/nanoscale',
    )
  }
  const open = await openDirectory(dataDirectory)
  if (open !== null) {
    return failed(check, `Other users may look into ${open}`, `Run: chmod 700 ${open}`)
  }
  if (nearest !== dataDirectory) {
    return warning(check, `${dataDirectory} does not exist yet`, 'It is made by: nanoscale start')
  }
  return ok(check, dataDirectory)
}

async function closedParent(path: string): Promise<string | null> {
  if (((await stat(path)).mode & 0o001) === 0) return path
  return path === dirname(path) ? null : await closedParent(dirname(path))
}

async function openDirectory(dataDirectory: string): Promise<string | null> {
  for (const name of CLOSED) {
    const path = join(dataDirectory, name)
    try {
      if (((await stat(path)).mode & 0o077) !== 0) return path
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error
    }
  }
  return null
}
