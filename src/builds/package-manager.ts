import { OperationError } from '../lib/errors.ts'
import type { RepositoryFacts } from '../sources/repository-facts.ts'
import type { Argv } from './build-plan.ts'
import type { PackageJson } from './package-json.ts'
import type { PackageManager, Toolchain } from './toolchain.ts'

const LOCKFILES: readonly (readonly [file: string, manager: PackageManager])[] = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
]

export interface Install {
  packageManager: PackageManager
  install: Argv | null
  notes: readonly string[]
}

/**
 * Chooses the package manager by the lockfile and how it installs exactly what that says. Throws
 * `build.toolchain_missing` when this machine lacks it.
 */
export function chooseInstall(
  facts: RepositoryFacts,
  packageJson: PackageJson | null,
  toolchain: Toolchain,
  isGiven: boolean,
): Install {
  const found = LOCKFILES.find(([file]) => facts.files.includes(file))
  const [lockfile, byLockfile] = found ?? [null, 'npm' as const]
  const packageManager = found ? byLockfile : (managerNamed(packageJson) ?? 'npm')
  if (packageJson === null) return { packageManager, install: null, notes: [] }
  const needsInstall =
    packageJson.dependencies.length > 0 || packageJson.hasWorkspaces || lockfile !== null
  if (!needsInstall && !isGiven) {
    const notes = ['Nothing to install: package.json names no dependencies']
    return { packageManager: 'npm', install: null, notes }
  }
  if (!toolchain.packageManagers.includes(packageManager)) {
    throw new OperationError(
      'build.toolchain_missing',
      `Cannot build with ${packageManager}: ${lockfile ?? 'package.json'} asks for it and it is not installed; install it on the server (npm install --global ${packageManager})`,
    )
  }
  if (lockfile === null) {
    const notes = [
      `Installed by ${packageManager} without a lockfile: commit one, so that every build installs the same`,
    ]
    return { packageManager, install: [packageManager, 'install'], notes }
  }
  const notes = [`Installed by ${packageManager}, because of ${lockfile}`]
  return { packageManager, install: installOf(packageManager, facts), notes }
}

function installOf(packageManager: PackageManager, facts: RepositoryFacts): Argv {
  if (packageManager === 'npm') return ['npm', 'ci']
  if (packageManager === 'pnpm') return ['pnpm', 'install', '--frozen-lockfile']
  // Only Yarn 2 and later has this file, and only it knows --immutable.
  const isModern = facts.files.includes('.yarnrc.yml')
  return ['yarn', 'install', isModern ? '--immutable' : '--frozen-lockfile']
}

function managerNamed(packageJson: PackageJson | null): PackageManager | null {
  const name = packageJson?.packageManager?.split('@')[0]
  return name === 'npm' || name === 'pnpm' || name === 'yarn' ? name : null
}
