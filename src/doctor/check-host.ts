import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { runCommand } from '../lib/run-command.ts'
import { failed, ok, warning, type Finding } from './finding.ts'

const GIB = 2 ** 30

/** The release that this code is written for; the launcher brings it. */
const NODE_MAJOR = 26

/** No clock that is right shows an earlier day: certificates and leases would be judged wrongly. */
const EARLIEST = Date.UTC(2026, 0, 1)

export function checkPlatform(platform: NodeJS.Platform, nodeVersion: string): Finding[] {
  const major = Number(nodeVersion.split('.')[0])
  return [
    judgePlatform(platform),
    major >= NODE_MAJOR
      ? ok('node', `Node ${nodeVersion}`)
      : failed(
          'node',
          `Node ${nodeVersion} is too old`,
          'Start with ./nanoscale, which brings Node 26',
        ),
  ]
}

function judgePlatform(platform: NodeJS.Platform): Finding {
  if (platform === 'linux') return ok('platform', 'Linux')
  if (platform === 'darwin') {
    return warning(
      'platform',
      'macOS keeps apps and builds not apart',
      'Use Linux for anything but development',
    )
  }
  return failed('platform', `NanoScale does not run on ${platform}`, 'Use Linux')
}

export function checkClock(clock: Pick<Clock, 'now'>): Finding {
  const now = new Date(clock.now()).toISOString()
  return clock.now() >= EARLIEST
    ? ok('clock', `It is ${now}`)
    : failed(
        'clock',
        `The clock shows ${now}, which is past`,
        'Set it, for example: timedatectl set-ntp true',
      )
}

/** Free space of the file system that holds the data directory, or will hold it. */
export async function checkDisk(dataDirectory: string): Promise<Finding> {
  const { bavail, bsize, blocks, ffree, files } = await statfs(nearestExisting(dataDirectory))
  return judgeDisk({
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    // Some file systems make inodes as needed, and count none.
    freeFiles: files === 0 ? Infinity : ffree,
  })
}

export function judgeDisk(facts: {
  freeBytes: number
  totalBytes: number
  freeFiles: number
}): Finding {
  const free = `${(facts.freeBytes / GIB).toFixed(1)} GiB of ${(facts.totalBytes / GIB).toFixed(1)} GiB`
  const fix = 'Make room, or set NANOSCALE_DATA_DIR to a larger file system'
  if (facts.freeBytes < GIB / 4) return failed('disk', `Only ${free} are free`, fix)
  if (facts.freeFiles < 10_000) return failed('disk', `Only ${facts.freeFiles} more files fit`, fix)
  if (facts.freeBytes < 2 * GIB) return warning('disk', `Only ${free} are free`, fix)
  return ok('disk', `${free} are free`)
}

export function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path))
}

/** What keeps apps and builds of different projects apart, seen from this process. */
export async function checkIsolation(options: {
  uid: number
  allowUnisolated: boolean
}): Promise<Finding> {
  if (options.uid === 0) {
    return ok('isolation', 'Each project and each build runs as a user of its own')
  }
  const namespaces = await mayMakeNamespaces()
  const state = namespaces
    ? 'Not started as root: apps and builds run as the same user as NanoScale (user namespaces would be allowed)'
    : 'Not started as root: apps and builds run as the same user as NanoScale, and can read its keys'
  return options.allowUnisolated
    ? warning('isolation', `${state}; accepted by NANOSCALE_ALLOW_UNISOLATED`, 'Start it as root')
    : warning('isolation', state, 'Deploy only what you trust, or start NanoScale as root')
}

async function mayMakeNamespaces(): Promise<boolean> {
  const env = { PATH: '/usr/bin:/bin' }
  try {
    const argv = ['unshare', '--user', '--map-root-user', 'true'] as const
    return (await runCommand({ argv: [...argv], env }, { timeoutMs: 5000 })).exitCode === 0
  } catch (error) {
    // Not installed, or it hangs: the answer is no.
    if (isOperationError(error)) return false
    throw error
  }
}
