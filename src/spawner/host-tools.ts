import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

import { OperationError } from '../lib/errors.ts'

/** Searched instead of PATH: root must never run what somebody's environment points to. */
const TRUSTED_PATH = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** Absolute paths of the programs that the spawner runs itself. */
export interface HostTools {
  setpriv: string
  prlimit: string
  env: string
  rm: string
  du: string
  chmod: string
}

/** Looks the tools up once. Throws `spawner.missing_tools`, naming them and their packages. */
export function findHostTools(): HostTools {
  const missing: string[] = []
  const find = (name: string) => {
    const path = findTool(name)
    if (path === null) missing.push(name)
    return path ?? name
  }
  const tools = {
    setpriv: find('setpriv'),
    prlimit: find('prlimit'),
    env: find('env'),
    rm: find('rm'),
    du: find('du'),
    chmod: find('chmod'),
  }
  if (missing.length > 0) {
    throw new OperationError(
      'spawner.missing_tools',
      `Cannot separate apps: ${missing.join(', ')} not found in ${TRUSTED_PATH.join(', ')} (packages util-linux, coreutils)`,
    )
  }
  return tools
}

/** The absolute path of a program in the system's own directories, or null. */
export function findTool(name: string): string | null {
  const found = TRUSTED_PATH.map((directory) => join(directory, name)).find(isExecutable)
  return found ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
