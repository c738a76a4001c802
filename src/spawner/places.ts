import type { Stats } from 'node:fs'
import { chmod, lchown, lstat, mkdir, readdir, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { OperationError, systemErrorCode } from '../lib/errors.ts'
import { runCommand } from '../lib/run-command.ts'
import type { AccountRange } from './accounts.ts'
import type { HostTools } from './host-tools.ts'
import { pathOfPlace } from './place-paths.ts'
import { processesOfUid } from './process-table.ts'
import { ownerCommand } from './spawn-command.ts'
import type { Account, Place } from './spawner.ts'

const USAGE_TIMEOUT_MS = 60_000
const REMOVE_TIMEOUT_MS = 600_000

interface PlaceDeps {
  dataDirectory: string
  tools: HostTools
  /** Null when the spawner is not root, and so accounts are no users of the machine. */
  accounts: AccountRange | null
}

/** Directories of accounts: made by root in root's own directories, looked into and emptied as their owners only. */
export type Places = ReturnType<typeof createPlaces>

export function createPlaces(deps: PlaceDeps) {
  // New mirrors choose the next free group id, one at a time.
  let making: Promise<unknown> = Promise.resolve()
  return {
    make(place: Place, owner: Account): Promise<string> {
      const made = making.then(() => makePlace(deps, place, owner))
      making = made.catch(() => {})
      return made
    },
    usage: (place: Place) => usageOf(deps, place),
    remove: (place: Place) => removePlace(deps, place),
    async mirrorGid(id: string): Promise<number> {
      const path = pathOfPlace(deps.dataDirectory, { area: 'mirrors', id })
      const facts = await factsOf(path)
      if (facts?.isDirectory() === true && deps.accounts?.isMirrorGid(facts.gid)) return facts.gid
      throw new OperationError(
        'spawner.missing_mirror',
        `Cannot enter the mirror "${id}": there is none`,
      )
    },
  }
}

async function makePlace(deps: PlaceDeps, place: Place, owner: Account): Promise<string> {
  const path = pathOfPlace(deps.dataDirectory, place)
  const { accounts } = deps
  const uid = accounts?.uidOf(owner)
  if (place.area === 'releases') throw wrongOwner(place, owner)
  const expectedKind = place.area === 'apps' ? 'project' : 'build'
  if (owner.kind !== expectedKind) throw wrongOwner(place, owner)
  await makeArea(dirname(path))
  const existing = await factsOf(path)
  if (existing !== null && !existing.isDirectory()) {
    throw new OperationError('spawner.invalid_place', `Cannot use "${path}": it is no directory`)
  }
  if (existing === null) await mkdir(path, { mode: 0o700 })
  if (accounts === null || uid === undefined) return path
  if (place.area === 'mirrors') {
    if (existing !== null && accounts.isMirrorGid(existing.gid)) return path
    await lchown(path, 0, await nextMirrorGid(accounts, dirname(path)))
    await chmod(path, 0o2770)
    return path
  }
  // Root's own when a crash came between making it and giving it away.
  if (existing === null || existing.uid === 0) await lchown(path, uid, uid)
  else if (existing.uid !== uid) {
    throw new OperationError(
      'spawner.place_taken',
      `Cannot use "${path}" as uid ${uid}: it is uid ${existing.uid}'s`,
    )
  }
  return path
}

/** Passable by everybody, listed by nobody but root. */
async function makeArea(path: string): Promise<void> {
  if ((await factsOf(path)) !== null) return
  await mkdir(path, { recursive: true, mode: 0o711 })
  // Against a narrow umask: accounts must be able to pass.
  await chmod(path, 0o711)
}

async function nextMirrorGid(accounts: AccountRange, area: string): Promise<number> {
  const ids = await readdir(area)
  const gids = await Promise.all(ids.map(async (id) => (await factsOf(join(area, id)))?.gid ?? 0))
  const taken = gids.filter((gid) => accounts.isMirrorGid(gid))
  const next = Math.max(accounts.firstMirrorGid - 1, ...taken) + 1
  if (next <= accounts.lastMirrorGid) return next
  throw new OperationError(
    'spawner.too_many_mirrors',
    `Cannot make another mirror: group ids are used up`,
  )
}

async function usageOf(deps: PlaceDeps, place: Place): Promise<number> {
  const path = pathOfPlace(deps.dataDirectory, place)
  const facts = await factsOf(path)
  if (facts === null) return 0
  const argv = [deps.tools.du, '-s', '--block-size=1', '-x', '--', path] as const
  // A tree that changes below it makes it complain and count on: what it printed is what it saw.
  const { stdout } = await runAsOwner(deps, facts, argv, USAGE_TIMEOUT_MS)
  const bytes = Number.parseInt(stdout, 10)
  if (Number.isSafeInteger(bytes)) return bytes
  throw new OperationError(
    'spawner.usage_unknown',
    `Cannot count what "${path}" uses: du said nothing`,
  )
}

async function removePlace(deps: PlaceDeps, place: Place): Promise<void> {
  const path = pathOfPlace(deps.dataDirectory, place)
  const facts = await factsOf(path)
  if (facts === null) return
  const rm = [deps.tools.rm, '-rf', '--one-file-system', '--', path] as const
  // The owner cannot remove the place itself, only what is in it: its exit code says nothing.
  await runAsOwner(deps, facts, rm, REMOVE_TIMEOUT_MS)
  if (await isRemoved(path)) return
  // Read-only directories, which some package managers leave, hold even their owner back.
  await runAsOwner(deps, facts, [deps.tools.chmod, '-R', 'u+rwX', '--', path], REMOVE_TIMEOUT_MS)
  await runAsOwner(deps, facts, rm, REMOVE_TIMEOUT_MS)
  if (await isRemoved(path)) return
  if (deps.accounts !== null && processesOfUid(facts.uid).pids.length === 0) {
    // What a sealing that was cut short, or several owners, left: nobody is there to change it under root's hands.
    await runCommand({ argv: rm }, { timeoutMs: REMOVE_TIMEOUT_MS })
  }
  if (await isRemoved(path)) return
  throw new OperationError(
    'spawner.not_removed',
    `Cannot remove "${path}": something in it resists`,
  )
}

/** Removes the place itself when it is empty; true when it is gone. */
async function isRemoved(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return true
    if (systemErrorCode(error) === 'ENOTEMPTY') return false
    throw error
  }
}

/** A mirror has many owners and one group; releases are root's own and writable by nobody else. */
function runAsOwner(
  deps: PlaceDeps,
  facts: Stats,
  argv: readonly [string, ...string[]],
  timeoutMs: number,
) {
  const user = deps.accounts === null ? null : ownerOf(deps.accounts, facts)
  return runCommand({ argv: ownerCommand(deps.tools, user, argv), cwd: '/' }, { timeoutMs })
}

function ownerOf(accounts: AccountRange, { uid, gid }: Stats) {
  if (accounts.isMirrorGid(gid) && uid === 0) return { uid: accounts.janitorUid, gid }
  return accounts.isAccountUid(uid) ? { uid, gid: uid } : null
}

export async function factsOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  }
}

function wrongOwner(place: Place, owner: Account): OperationError {
  return new OperationError(
    'spawner.invalid_place',
    `Cannot make "${place.area}/${place.id}" for a ${owner.kind} account: builds and mirrors are made for builds, apps for projects, releases by sealing`,
  )
}
