import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { AccountRange } from './accounts.ts'
import { prepareDirectories } from './data-directories.ts'
import { installProgram } from './install-program.ts'
import { installToolchain } from './install-toolchain.ts'
import { keepAccountRange } from './keep-account-range.ts'
import { ensurePlatformUser, type PlatformUser } from './platform-user.ts'

export interface PreparedHost {
  /** The user that control and traffic run as; null when all runs as the current user. */
  platformUser: PlatformUser | null
  /** The user ids of builds and apps; null when all runs as the current user. */
  accounts: AccountRange | null
  /** Directory with `src/main.ts` that control and traffic run from. */
  program: string
}

/**
 * Makes the machine ready for the three processes, and changes nothing when it is already. As root: the platform's
 * user, a copy of the program that this user can read, and directories that tenants cannot. Else the directories alone.
 */
export async function prepareHost(
  deps: { clock: Clock },
  options: { dataDirectory: string; checkout: string; nodePath: string },
): Promise<PreparedHost> {
  const { dataDirectory, checkout, nodePath } = options
  const isRoot = process.getuid?.() === 0
  const platformUser = isRoot ? await ensurePlatformUser(dataDirectory) : null
  await prepareDirectories(dataDirectory, platformUser)
  const accounts = isRoot ? await keepAccountRange(deps, { dataDirectory }) : null
  await installToolchain({ dataDirectory, nodePath, npmDirectory: await findNpm(options) })
  const program = isRoot ? installProgram({ dataDirectory, checkout }) : checkout
  return { platformUser, accounts, program }
}

/** The directory of the npm that belongs to the running Node: beside it, or the one that the launcher installed. */
async function findNpm(options: { checkout: string; nodePath: string }): Promise<string> {
  const candidates = [
    join(dirname(options.nodePath), 'npm'),
    join(options.checkout, '.toolchain', 'node_modules', '.bin', 'npm'),
  ]
  for (const link of candidates) {
    const script = await realpath(link).catch(() => null)
    if (script !== null && script.endsWith('/bin/npm-cli.js')) return dirname(dirname(script))
  }
  throw new OperationError(
    'start.npm_missing',
    `Cannot find npm: neither of ${candidates.join(', ')} is one; start with ./nanoscale, which installs it`,
  )
}
