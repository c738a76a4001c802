import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { isSameProcessAlive, readProcessStat } from '../lib/process-identity.ts'
import { currentUid } from './accounts.ts'
import type { AccountRange } from './accounts.ts'
import { killUnit, mayBeSignalled, membersOfUnit, pidNamespaceOf, signal } from './process-table.ts'
import type { ProcessRef } from './spawner.ts'

const KILL_DEADLINE_MS = 10_000
const MAX_POLL_MS = 100
/** On a machine where processes of others come and go all the time, hardly any look is certain. */
const ENOUGH_MISSES = 5

interface StopDeps {
  clock: Clock
  /** Null when accounts are no users of the machine. */
  accounts: AccountRange | null
}

/**
 * Asks a unit to end, ends it after `graceMs`, and resolves when nothing of it is left. The whole process group is
 * asked: behind a package manager it is the group's last process that drains requests. Throws `spawner.unit_not_ended`.
 */
export async function stopUnit(
  deps: StopDeps,
  ref: ProcessRef,
  options: { graceMs: number },
): Promise<void> {
  if (options.graceMs > 0) {
    askToEnd(deps, ref)
    if (await isGoneWithin(deps, ref, options.graceMs)) return
  }
  await endUnit(deps, ref.unit, ref)
}

/** Kills all of a unit without asking, again and again until nothing is found. */
export async function endUnit(
  deps: StopDeps,
  unit: string,
  leader: ProcessRef | null,
): Promise<void> {
  const deadline = deps.clock.now() + KILL_DEADLINE_MS
  let misses = 0
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, MAX_POLL_MS)) {
    const { found, certain } = killUnit(unit, leader, deps.accounts)
    misses = found === 0 ? misses + 1 : 0
    if ((found === 0 && certain) || misses === ENOUGH_MISSES) return
    if (deps.clock.now() > deadline) {
      throw new OperationError(
        'spawner.unit_not_ended',
        `Cannot end "${unit}": ${found} processes are left after ${KILL_DEADLINE_MS / 1000} s`,
      )
    }
    await deps.clock.sleep(pauseMs)
  }
}

function askToEnd({ accounts }: StopDeps, ref: ProcessRef): void {
  const leads = readProcessStat(ref.pid)?.sessionId === ref.pid
  const isWhole = leads && isSameProcessAlive(ref) && mayBeSignalled(ref.pid, accounts)
  const { members } = membersOfUnit(ref.unit, ref, accounts)
  // Root separates by uids; a namespace is then the app's own affair.
  const hasInit = currentUid() !== 0 && members.some(({ pid }) => pidNamespaceOf(pid).isInit)
  if (!hasInit) {
    if (isWhole) signal(-ref.pid, 'SIGTERM')
    else for (const { pid } of members) signal(pid, 'SIGTERM')
    return
  }
  // The leader only waits for the namespace's first process, which takes all with it: both end when the command has.
  for (const { pid, groupId } of members) {
    const { depth, isInit } = pidNamespaceOf(pid)
    if (depth > 0 && !isInit && (!isWhole || groupId === ref.pid)) signal(pid, 'SIGTERM')
  }
}

async function isGoneWithin(deps: StopDeps, ref: ProcessRef, graceMs: number): Promise<boolean> {
  const deadline = deps.clock.now() + graceMs
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, MAX_POLL_MS)) {
    // The leader is one file to read, the rest of the unit several hundred.
    if (!isSameProcessAlive(ref)) {
      if (membersOfUnit(ref.unit, ref, deps.accounts).members.length === 0) return true
    }
    const leftMs = deadline - deps.clock.now()
    if (leftMs <= 0) return false
    await deps.clock.sleep(Math.min(pauseMs, leftMs))
  }
}
