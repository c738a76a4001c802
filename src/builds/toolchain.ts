import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { findExecutable } from './find-executable.ts'

export type PackageManager = 'npm' | 'pnpm' | 'yarn'

/** The programs that builds and apps run with. */
export interface Toolchain {
  nodeVersion: string
  /** Version of npm, and whether the others are there. */
  npmVersion: string
  packageManagers: readonly PackageManager[]
  /** For PATH: the toolchain before the system. */
  path: string
}

const SYSTEM_DIRECTORIES = ['/usr/local/bin', '/usr/bin', '/bin']

/** Reads what the platform put into `<data>/toolchain`; pnpm and yarn may also come from the system. */
export async function readToolchain(dataDirectory: string): Promise<Toolchain> {
  const place = join(dataDirectory, 'toolchain')
  const text = await readFile(join(place, 'versions.json'), 'utf8')
  const { node, npm } = JSON.parse(text) as { node: string; npm: string }
  const directories = [join(place, 'bin'), ...SYSTEM_DIRECTORIES]
  const packageManagers: PackageManager[] = ['npm']
  for (const name of ['pnpm', 'yarn'] as const) {
    if ((await findExecutable(name, directories)) !== null) packageManagers.push(name)
  }
  return { nodeVersion: node, npmVersion: npm, packageManagers, path: directories.join(':') }
}
