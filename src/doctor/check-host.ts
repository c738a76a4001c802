import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { isolationWithoutRoot } from '../spawner/namespaces.ts'
import type { Isolation } from '../spawner/spawner.ts'
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
export function checkIsolation(options: {
  uid: number
  dataDirectory: string
  allowUnisolated: boolean
}): Finding {
  const isolation = options.uid === 0 ? 'users' : isolationWithoutRoot(options.dataDirectory)
  return judgeIsolation(isolation, { ...options, refusal: readRefusal() })
}

export function judgeIsolation(
  isolation: Isolation,
  { allowUnisolated, refusal }: { allowUnisolated: boolean; refusal: string | null },
): Finding {
  if (isolation === 'users') {
    return ok('isolation', 'Each project and each build runs as a user of its own')
  }
  if (isolation === 'namespaces') {
    return ok(
      'isolation',
      'Not started as root: each app and each build runs in namespaces of its own, without sight of the keys and of each other',
    )
  }
  const cause = refusal === null ? '' : ` (${refusal})`
  const accepted = allowUnisolated ? '; accepted by NANOSCALE_ALLOW_UNISOLATED' : ''
  return warning(
    'isolation',
    `Not started as root, and user namespaces do not work here${cause}: apps and builds can read the keys and the data of each other${accepted}`,
    'Start NanoScale as root, or allow user namespaces and start it again; until then deploy only what you trust',
  )
}

/** The settings of common kernels that forbid namespaces to ordinary users, and the value that does. */
const REFUSALS = [
  ['kernel.apparmor_restrict_unprivileged_userns', '1'],
  ['kernel.unprivileged_userns_clone', '0'],
  ['user.max_user_namespaces', '0'],
] as const

function readRefusal(): string | null {
  const found = REFUSALS.find(([name, value]) => {
    try {
      return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim() === value
    } catch {
      // Other kernels do not have it.
      return false
    }
  })
  return found === undefined ? null : `sysctl ${found[0]} is ${found[1]}`
}
