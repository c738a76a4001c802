import { chmod, chown, lstat, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { OperationError, systemErrorCode } from '../lib/errors.ts'
import type { PlatformUser } from './platform-user.ts'

interface DirectoryRule {
  name: string
  mode: number
  /** `spawner`: whoever started us, root or the one user. */
  owner: 'spawner' | 'platform'
}

/** What each directory of the data directory may be opened by. Places of tenants have their own owner below these. */
const DIRECTORIES: readonly DirectoryRule[] = [
  { name: '.', mode: 0o711, owner: 'spawner' },
  { name: 'program', mode: 0o755, owner: 'spawner' },
  { name: 'toolchain', mode: 0o755, owner: 'spawner' },
  { name: 'keys', mode: 0o700, owner: 'platform' },
  { name: 'database', mode: 0o700, owner: 'platform' },
  { name: 'run', mode: 0o700, owner: 'platform' },
  { name: 'traffic', mode: 0o700, owner: 'platform' },
  { name: 'logs', mode: 0o711, owner: 'spawner' },
  { name: 'builds', mode: 0o711, owner: 'spawner' },
  { name: 'mirrors', mode: 0o711, owner: 'spawner' },
  { name: 'releases', mode: 0o711, owner: 'spawner' },
  { name: 'apps', mode: 0o711, owner: 'spawner' },
]

/**
 * Makes the directories of the data directory, and sets their owners and modes again where they differ. Throws
 * `start.data_directory_closed` and `start.data_directory_unusable`.
 */
export async function prepareDirectories(
  dataDirectory: string,
  platformUser: PlatformUser | null,
): Promise<void> {
  try {
    await mkdir(dataDirectory, { recursive: true })
    if (platformUser !== null) await refuseClosedParents(dataDirectory)
    for (const rule of DIRECTORIES) {
      await prepareDirectory(join(dataDirectory, rule.name), rule, platformUser)
    }
  } catch (error) {
    if (systemErrorCode(error) === undefined || error instanceof OperationError) throw error
    throw new OperationError(
      'start.data_directory_unusable',
      `Cannot use the data directory "${dataDirectory}": ${(error as Error).message}`,
      { cause: error },
    )
  }
}

async function prepareDirectory(
  path: string,
  rule: DirectoryRule,
  platformUser: PlatformUser | null,
): Promise<void> {
  await mkdir(path, { recursive: true })
  const facts = await lstat(path)
  // A link would let its owner choose what root opens to others.
  if (!facts.isDirectory()) {
    throw new OperationError(
      'start.data_directory_unusable',
      `Cannot use "${path}": it is not a directory`,
    )
  }
  if (platformUser !== null) {
    const { uid, gid } = rule.owner === 'platform' ? platformUser : { uid: 0, gid: 0 }
    if (facts.uid !== uid || facts.gid !== gid) await chown(path, uid, gid)
  }
  if ((facts.mode & 0o7777) !== rule.mode) await chmod(path, rule.mode)
}

/** Apps and the platform's user must be able to pass through every directory above. */
async function refuseClosedParents(dataDirectory: string): Promise<void> {
  for (let path = dirname(dataDirectory); ; path = dirname(path)) {
    const { mode } = await stat(path)
    if ((mode & 0o001) === 0) {
      throw new OperationError(
        'start.data_directory_closed',
        `Cannot use the data directory "${dataDirectory}": other users may not enter "${path}", and apps run as users of their own; set NANOSCALE_DATA_DIR to a directory such as /var/lib/nanoscale`,
      )
    }
    if (path === dirname(path)) return
  }
}
