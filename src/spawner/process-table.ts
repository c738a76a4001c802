import { listPids } from '../lib/pids.ts'
import {
  bootId,
  hasEnded,
  readProcessFile,
  readProcessStat,
  startTicksOf,
} from '../lib/process-identity.ts'
import type { ProcessIdentity, ProcessStat } from '../lib/process-identity.ts'
import { currentUid } from './accounts.ts'
import type { AccountRange } from './accounts.ts'

/** Passes of stopping before killing; each pass leaves only what was forked by a process not yet stopped. */
const STOP_PASSES = 50

/** The real uid of a process, or null when it is gone. The owner of `/proc/<pid>` would be root for undumpable ones. */
export function uidOfProcess(pid: number): number | null {
  const status = readProcessFile(pid, 'status')
  const uid = status === null ? undefined : /^Uid:\t([0-9]+)/m.exec(status)?.[1]
  return uid === undefined ? null : Number(uid)
}

/**
 * The living processes of a uid. `certain` is false when a listed process was gone before it could be read: it may
 * have forked on.
 */
export function processesOfUid(uid: number): { pids: number[]; certain: boolean } {
  let certain = true
  const pids = listPids().filter((pid) => {
    const status = readProcessFile(pid, 'status')
    if (status === null) {
      certain = false
      return false
    }
    return /^State:\t[ZX]/m.test(status) ? false : status.includes(`\nUid:\t${uid}\t`)
  })
  return { pids, certain }
}

export interface UnitMembers {
  members: ProcessStat[]
  /** False when a process ended, or was between two programs, while it was looked at: it may have forked on. */
  certain: boolean
}

/**
 * The living processes of a unit: those that carry its name in their environment, those of the session that its leader
 * opened, and their descendants.
 */
export function membersOfUnit(
  unit: string,
  leader: ProcessIdentity | null,
  accounts: AccountRange | null,
): UnitMembers {
  const pids = listPids()
  const all = pids.map(readProcessStat).filter((stat) => stat !== null)
  let certain = all.length === pids.length
  const sessionId = leader === null ? null : sessionOf(leader, all)
  const members = new Map<number, ProcessStat>()
  for (const stat of all) {
    const carried = hasEnded(stat) ? NOTHING_CARRIED : unitOfProcess(stat.pid, accounts)
    if (!carried.certain) certain = false
    // A process that emptied its environment still has its session.
    const isMember = carried.unit === null ? stat.sessionId === sessionId : carried.unit === unit
    if (isMember) members.set(stat.pid, stat)
  }
  // Parents usually come first, but pids wrap: repeat until nothing is added.
  for (let size = -1; size !== members.size;) {
    size = members.size
    for (const stat of all) if (members.has(stat.parentPid)) members.set(stat.pid, stat)
  }
  const living = [...members.values()].filter(
    (stat) => !hasEnded(stat) && mayBeSignalled(stat.pid, accounts),
  )
  return { members: living, certain }
}

/**
 * The leader's session, or null when it cannot be told: a session's id is its leader's pid, which the kernel gives to
 * no other process while the session has one.
 */
function sessionOf(leader: ProcessIdentity, all: readonly ProcessStat[]): number | null {
  if (leader.bootId !== bootId() || leader.pid <= 1) return null
  const holder = all.find((stat) => stat.pid === leader.pid)
  return holder === undefined || holder.startTicks === leader.startTicks ? leader.pid : null
}

const NOTHING_CARRIED = { unit: null, certain: true }

function unitOfProcess(
  pid: number,
  accounts: AccountRange | null,
): { unit: string | null; certain: boolean } {
  const environ = readProcessFile(pid, 'environ')
  if (environ === null) return { unit: null, certain: startTicksOf(pid) !== null }
  // Empty for a moment while a process changes its program.
  if (environ === '') return { unit: null, certain: !mayBeSignalled(pid, accounts) }
  return { unit: /(?:^|\0)NANOSCALE_UNIT=([^\0]*)/.exec(environ)?.[1] ?? null, certain: true }
}

/**
 * Root signals processes of its data directory's accounts and nothing else, whatever a message names: the control plane may be in the
 * hands of somebody.
 */
export function mayBeSignalled(pid: number, accounts: AccountRange | null): boolean {
  const uid = uidOfProcess(pid)
  if (uid === null || pid <= 1 || pid === process.pid) return false
  return currentUid() === 0 ? accounts?.isAccountUid(uid) === true : uid === currentUid()
}

/** The leader of a living unit of this uid, for a start that is repeated to a new spawner. */
export function findLeader(
  unit: string,
  uid: number,
  accounts: AccountRange | null,
): ProcessStat | null {
  const { members } = membersOfUnit(unit, null, accounts)
  const leaders = members.filter(
    (stat) => stat.sessionId === stat.pid && uidOfProcess(stat.pid) === uid,
  )
  // Others opened sessions of their own.
  const isFirst = ({ parentPid }: ProcessStat) => members.every(({ pid }) => pid !== parentPid)
  return leaders.find(isFirst) ?? leaders.at(0) ?? null
}

/** How many pid namespaces a process is in, counted from ours, and whether it is the first process of the innermost. */
export function pidNamespaceOf(pid: number): { depth: number; isInit: boolean } {
  const line = /^NSpid:\t(.*)$/m.exec(readProcessFile(pid, 'status') ?? '')?.[1]
  const pids = line === undefined ? [] : line.split('\t')
  return { depth: Math.max(pids.length - 1, 0), isInit: pids.length > 1 && pids.at(-1) === '1' }
}

/** The living processes whose first environment held this variable with this value. */
export function processesWithVariable(
  name: string,
  value: string,
  accounts: AccountRange | null,
): number[] {
  return listPids().filter((pid) => {
    const environ = readProcessFile(pid, 'environ')
    if (environ === null || !`\0${environ}`.includes(`\0${name}=${value}\0`)) return false
    return startTicksOf(pid) !== null && mayBeSignalled(pid, accounts)
  })
}

/**
 * Sends SIGKILL to all of a unit, once. Everything is stopped first, because a stopped process does not fork: killing
 * one by one would free a slot for the next fork each time.
 */
export function killUnit(
  unit: string,
  leader: ProcessIdentity | null,
  accounts: AccountRange | null,
): { found: number; certain: boolean } {
  const stopped = new Set<string>()
  // Mostly nothing is left: then this look is the only one, because each reads several hundred files.
  let look = membersOfUnit(unit, leader, accounts)
  // With the first process of a pid namespace the kernel ends all the others, however fast they fork.
  for (const { pid } of look.members) {
    if (pidNamespaceOf(pid).isInit) signal(pid, 'SIGKILL')
  }
  for (let pass = 0; pass < STOP_PASSES; pass++) {
    const running = look.members.filter((stat) => !stopped.has(keyOf(stat)))
    if (running.length === 0) break
    for (const stat of running) {
      stopped.add(keyOf(stat))
      signal(stat.pid, 'SIGSTOP')
    }
    look = membersOfUnit(unit, leader, accounts)
  }
  for (const { pid } of look.members) signal(pid, 'SIGKILL')
  return { found: look.members.length, certain: look.certain }
}

function keyOf(stat: ProcessStat): string {
  return `${stat.pid}.${stat.startTicks}`
}

/** Sends a signal to one process, or to a group when `pid` is negative. Gone already is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended in between.
  }
}
