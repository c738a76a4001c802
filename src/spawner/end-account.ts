import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { runCommand } from '../lib/run-command.ts'
import type { AccountRange } from './accounts.ts'
import type { HostTools } from './host-tools.ts'
import { processesOfUid } from './process-table.ts'

const DEADLINE_MS = 15_000

/**
 * Run as (real uid: the reaper's, effective uid: root). Giving up the effective root for the account's uid leaves
 * kill(-1) exactly the account's processes, all of them in one system call that no fork can overtake; and since neither
 * its real nor its saved uid is the account's, nothing of the account can signal it in return.
 */
const KILL_ALL = `
process.seteuid(Number(process.argv[1]))
try { process.kill(-1, 'SIGKILL') } catch (error) { if (error.code !== 'ESRCH') throw error }
`

/**
 * Makes the function that kills everything that runs under a build uid and resolves when nothing is left: daemonised
 * children, fork bombs and processes of user namespaces too. It throws `spawner.account_not_ended`.
 */
export function createAccountEnder(deps: {
  tools: HostTools
  clock: Clock
  accounts: AccountRange
}): (uid: number) => Promise<void> {
  // One at a time: two reapers have the same real uid, and so each would be among what the other may kill.
  let reaping: Promise<void> = Promise.resolve()
  return async (uid) => {
    if (!deps.accounts.isBuildUid(uid)) throw new Error(`uid ${uid} is no build account`)
    const deadline = deps.clock.now() + DEADLINE_MS
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 100)) {
      const { pids, certain } = processesOfUid(uid)
      if (pids.length === 0 && certain) return
      if (deps.clock.now() > deadline) throw notEnded(uid, pids.length)
      reaping = reaping.then(() => reap(deps, uid))
      await reaping
      // A process gone between list and read was no fork of theirs: the call above left nobody to fork.
      if (processesOfUid(uid).pids.length === 0) return
      await deps.clock.sleep(pauseMs)
    }
  }
}

function notEnded(uid: number, left: number): OperationError {
  return new OperationError(
    'spawner.account_not_ended',
    `Cannot end everything of uid ${uid}: ${left} processes are left after ${DEADLINE_MS / 1000} s`,
  )
}

/** A failure is seen by the caller, which looks at what is left and asks again until its deadline. */
async function reap(
  { tools, accounts }: { tools: HostTools; accounts: AccountRange },
  uid: number,
): Promise<void> {
  const argv = [
    tools.setpriv,
    `--ruid=${accounts.reaperUid}`,
    '--euid=0',
    `--regid=${accounts.reaperUid}`,
    '--clear-groups',
    '--',
    process.execPath,
    '--eval',
    KILL_ALL,
    String(uid),
  ] as const
  try {
    await runCommand({ argv }, { timeoutMs: 5000, maxOutputBytes: 4096 })
  } catch {
    // A loaded machine may not get there in time; the next attempt may.
  }
}
