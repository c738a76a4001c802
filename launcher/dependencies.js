import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { runNpm } from './npm.js'
import { makeStaging, readJson, replaceDirectory } from './toolchain.js'

/**
 * @typedef {'production' | 'development'} Mode
 * @typedef {{ version?: string, integrity?: string, dev?: boolean, optional?: boolean, devOptional?: boolean, link?: boolean }} LockedPackage
 */

/**
 * Installs the dependencies that package-lock.json asks for, when `node_modules` holds others. They are installed aside
 * and renamed: two launchers at once both end with the same whole directory.
 * @param {string} checkout
 * @param {{ node: string, npmCli: string, mode: Mode }} options
 */
export async function ensureDependencies(checkout, { node, npmCli, mode }) {
  if (hasDependencies(checkout, mode)) return
  const staging = join(checkout, '.cache', `dependencies-${process.pid}`)
  try {
    makeStaging(staging)
    copyManifests(checkout, staging)
    const omit = mode === 'production' ? ['--omit=dev'] : []
    await runNpm([node, npmCli], ['ci', ...omit], {
      directory: staging,
      what: 'the dependencies',
      patienceMs: 1000,
    })
    if (hasDependencies(checkout, mode)) return
    replaceDirectory(join(staging, 'node_modules'), join(checkout, 'node_modules'))
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/**
 * Compares the lock file with the one that npm leaves in `node_modules`: no stamp of ours to go stale, and whatever a
 * developer installed by hand counts.
 * @param {string} checkout
 * @param {Mode} mode
 */
export function hasDependencies(checkout, mode) {
  const installedFile = join(checkout, 'node_modules', '.package-lock.json')
  if (!existsSync(installedFile)) return false
  const installed = packagesOf(installedFile)
  return Object.entries(packagesOf(join(checkout, 'package-lock.json'))).every(
    ([path, wanted]) => !isNeeded(path, wanted, mode) || isSame(installed[path], wanted),
  )
}

/**
 * @param {string} file
 * @returns {Record<string, LockedPackage>}
 */
function packagesOf(file) {
  return readJson(file).packages ?? {}
}

/**
 * @param {string} path
 * @param {LockedPackage} wanted
 * @param {Mode} mode
 */
function isNeeded(path, wanted, mode) {
  if (!path.startsWith('node_modules/') || wanted.link) return false
  // Optional packages are mostly for other platforms; npm left them out on purpose.
  if (wanted.optional || wanted.devOptional) return false
  return mode === 'development' || !wanted.dev
}

/**
 * @param {LockedPackage | undefined} found
 * @param {LockedPackage} wanted
 */
function isSame(found, wanted) {
  return found?.version === wanted.version && found?.integrity === wanted.integrity
}

/**
 * @param {string} checkout
 * @param {string} staging
 */
function copyManifests(checkout, staging) {
  /** @type {string[]} */
  const workspaces = readJson(join(checkout, 'package.json')).workspaces ?? []
  const files = ['package.json', 'package-lock.json', ...workspaces.map((w) => `${w}/package.json`)]
  for (const file of [...files, '.npmrc']) {
    if (!existsSync(join(checkout, file))) continue
    mkdirSync(dirname(join(staging, file)), { recursive: true })
    copyFileSync(join(checkout, file), join(staging, file))
  }
}
