import { readdirSync, readlinkSync } from 'node:fs'

import { listPids } from './pids.ts'
import { readProcessFile, readProcessStat, startTicksOf } from './process-identity.ts'
import { listeningSockets } from './socket-owner.ts'

/** Asks whether what answers on `127.0.0.1:port` is held by a process of this unit, and by no other alone. */
export type UnitListens = (unit: string, port: number) => Promise<boolean>

/** A place in `/proc` where a socket was last seen. */
interface Holder {
  pid: number
  startTicks: string
  fd: string
}

const MAX_REMEMBERED = 10_000

/**
 * For machines where all units run as one user, so that the socket's uid proves nothing. The first look reads the
 * whole process table; later ones read the one link that was found.
 */
export function createUnitListens(): UnitListens {
  const known = new Map<string, Holder>()
  return async (unit, port) => {
    const sockets = await listeningSockets(port)
    let members: number[] | undefined
    return (
      sockets.length > 0 &&
      sockets.every(({ inode }) => {
        const key = `${unit} ${inode}`
        const last = known.get(key)
        if (last !== undefined && holds(last, inode)) return true
        members ??= processesOfUnit(unit)
        const holder = findHolder(members, inode)
        known.delete(key)
        if (holder === null) return false
        const [oldest] = known.keys()
        if (known.size >= MAX_REMEMBERED && oldest !== undefined) known.delete(oldest)
        known.set(key, holder)
        return true
      })
    )
  }
}

function holds({ pid, startTicks, fd }: Holder, inode: string): boolean {
  return startTicksOf(pid) === startTicks && linkOf(pid, fd) === `socket:[${inode}]`
}

function findHolder(pids: readonly number[], inode: string): Holder | null {
  for (const pid of pids) {
    const fd = descriptorsOf(pid).find((name) => linkOf(pid, name) === `socket:[${inode}]`)
    const startTicks = fd === undefined ? null : startTicksOf(pid)
    if (fd !== undefined && startTicks !== null) return { pid, startTicks, fd }
  }
  return null
}

/** The unit's first processes and all that descend from them. */
function processesOfUnit(unit: string): number[] {
  const depth = depthOf(process.pid)
  const stats = listPids()
    .map(readProcessStat)
    .filter((stat) => stat !== null)
  const members = new Set(
    stats
      // Any app may call itself by another's name, but only inside its own pid namespace, where it has one.
      .filter(({ pid }) => carriesUnit(pid, unit) && depthOf(pid) === depth)
      .map(({ pid }) => pid),
  )
  for (let size = -1; size !== members.size;) {
    size = members.size
    for (const { pid, parentPid } of stats) if (members.has(parentPid)) members.add(pid)
  }
  return [...members]
}

function carriesUnit(pid: number, unit: string): boolean {
  return `\0${readProcessFile(pid, 'environ') ?? ''}`.includes(`\0NANOSCALE_UNIT=${unit}\0`)
}

/** In how many pid namespaces a process has a number. */
function depthOf(pid: number): number {
  return /^NSpid:\t(.*)$/m.exec(readProcessFile(pid, 'status') ?? '')?.[1]?.split('\t').length ?? 0
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch {
    return []
  }
}

function linkOf(pid: number, fd: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    // Closed, ended, or not ours to look at.
    return null
  }
}
