import { readFileSync } from 'node:fs'

/** Names one process of one boot: a pid alone may be somebody else's by now. */
export interface ProcessIdentity {
  pid: number
  /** Field 22 of `/proc/<pid>/stat`. */
  startTicks: string
  bootId: string
}

/** What `/proc/<pid>/stat` says about a process. */
export interface ProcessStat {
  pid: number
  /** One letter; `Z` and `X` are processes that have ended and wait to be collected. */
  state: string
  parentPid: number
  groupId: number
  sessionId: number
  startTicks: string
}

let knownBootId: string | undefined

/** The id of this boot of the machine; it never changes while we run. */
export function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return knownBootId
}

/** Facts of a process, or null when there is none of that pid. A process that ended but was not collected is there. */
export function readProcessStat(pid: number): ProcessStat | null {
  const text = readProcessFile(pid, 'stat')
  if (text === null) return null
  // The name is in parentheses and may itself hold spaces and parentheses; what follows the last one is plain.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parentPid, groupId, sessionId] = fields
  const startTicks = fields[19]
  if (state === undefined || startTicks === undefined) return null
  return {
    pid,
    state,
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    sessionId: Number(sessionId),
    startTicks,
  }
}

/** When the process started, in clock ticks since boot; null when it is gone or has ended. */
export function startTicksOf(pid: number): string | null {
  const stat = readProcessStat(pid)
  return stat === null || hasEnded(stat) ? null : stat.startTicks
}

/** The identity of a living process; null when it is gone or has ended. */
export function identityOf(pid: number): ProcessIdentity | null {
  const startTicks = startTicksOf(pid)
  return startTicks === null ? null : { pid, startTicks, bootId: bootId() }
}

/** True while that very process lives: same boot, same pid, same start. */
export function isSameProcessAlive(identity: ProcessIdentity): boolean {
  return identity.bootId === bootId() && startTicksOf(identity.pid) === identity.startTicks
}

export function hasEnded(stat: { state: string }): boolean {
  return stat.state === 'Z' || stat.state === 'X'
}

/** A file of `/proc/<pid>`, or null when the process is gone or may not be looked at. */
export function readProcessFile(pid: number, name: 'stat' | 'status' | 'environ'): string | null {
  try {
    // Synchronous: the kernel answers from memory, and a promise per file would take longer than the read.
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return null
  }
}
