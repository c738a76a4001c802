import { spawn } from 'node:child_process'
import type { ChildProcess, StdioOptions } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { constants } from 'node:os'

import type { Clock } from '../lib/clock.ts'
import { OperationError, messageOf } from '../lib/errors.ts'
import { bootId, isSameProcessAlive, readProcessStat } from '../lib/process-identity.ts'
import type { SpawnCommand } from './spawn-command.ts'
import type { ExitFacts, ProcessRef } from './spawner.ts'

/** Ends that are remembered for who asks late; a full deployment leaves about ten. */
const REMEMBERED_ENDS = 4096
const ADOPTED_POLL_MS = 200

interface Child {
  ref: ProcessRef
  child: ChildProcess
  exited: Promise<ExitFacts>
}

/** The processes that this spawner started itself: only their parent learns how they end. */
export type RunningUnits = ReturnType<typeof createRunningUnits>

export function createRunningUnits(deps: { clock: Clock }) {
  const living = new Map<string, Child>()
  const ended = new Map<string, { ref: ProcessRef; facts: ExitFacts }>()

  const remember = (ref: ProcessRef, facts: ExitFacts) => {
    living.delete(keyOf(ref))
    ended.set(keyOf(ref), { ref, facts })
    const [oldest] = ended.keys()
    if (ended.size > REMEMBERED_ENDS && oldest !== undefined) ended.delete(oldest)
  }

  return {
    /** Starts a process in a session of its own. Throws `spawner.failed_to_start`. */
    async launch(unit: string, command: SpawnCommand, stdio: StdioOptions): Promise<Child> {
      const child = await spawnDetached(command, stdio)
      const { pid } = child
      const startTicks = pid === undefined ? undefined : readProcessStat(pid)?.startTicks
      if (pid === undefined || startTicks === undefined) {
        throw new OperationError('spawner.failed_to_start', `Cannot start "${unit}": it has no pid`)
      }
      const ref: ProcessRef = { unit, pid, startTicks, bootId: bootId() }
      const exited = new Promise<ExitFacts>((resolve) => {
        child.once('exit', (exitCode, exitSignal) => {
          const facts =
            command.isBehindInit === true
              ? factsBehindInit({ exitCode, exitSignal })
              : { exitCode, exitSignal }
          remember(ref, facts)
          resolve(facts)
        })
      })
      const entry = { ref, child, exited }
      living.set(keyOf(ref), entry)
      return entry
    },

    findLiving(unit: string): ProcessRef | null {
      return [...living.values()].find((entry) => entry.ref.unit === unit)?.ref ?? null
    },

    /** The last process of a unit that ended under this spawner. */
    findEnded(unit: string): ProcessRef | null {
      return [...ended.values()].findLast((entry) => entry.ref.unit === unit)?.ref ?? null
    },

    async exited(ref: ProcessRef, signal?: AbortSignal): Promise<ExitFacts> {
      const child = living.get(keyOf(ref))
      if (child !== undefined) return orAbort(child.exited, signal)
      const known = ended.get(keyOf(ref))
      if (known !== undefined) return known.facts
      while (isSameProcessAlive(ref)) await deps.clock.sleep(ADOPTED_POLL_MS, signal)
      return { exitCode: null, exitSignal: null }
    },

    /** Lets this process end while they live on. */
    release(): void {
      for (const { child } of living.values()) child.unref()
    },
  }
}

const SIGNAL_CODES = 128
const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, code]) => [code, name]))

/** A command that exits with such a code itself cannot be told from one that was ended by the signal. */
function factsBehindInit(facts: ExitFacts): ExitFacts {
  const exitSignal = SIGNAL_NAMES.get((facts.exitCode ?? 0) - SIGNAL_CODES)
  return exitSignal === undefined ? facts : { exitCode: null, exitSignal }
}

function keyOf(ref: ProcessRef): string {
  return `${ref.bootId}.${ref.pid}.${ref.startTicks}`
}

async function spawnDetached(command: SpawnCommand, stdio: StdioOptions): Promise<ChildProcess> {
  const [file, ...args] = command.argv
  const child = spawn(file, args, {
    cwd: '/',
    env: { ...command.env },
    detached: true,
    stdio,
    ...command.user,
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', () => {
      // From now on an error is about a signal that could not be sent, which nobody waits for.
      child.on('error', () => {})
      resolve()
    })
    child.once('error', (error) =>
      reject(
        new OperationError(
          'spawner.failed_to_start',
          `Cannot start "${file}": ${messageOf(error)}`,
          {
            cause: error,
          },
        ),
      ),
    )
  })
  return child
}

/** Makes the kernel, when memory runs out, choose builds before apps and apps before the platform. */
export async function preferForOutOfMemory(pid: number, kind: 'build' | 'project'): Promise<void> {
  try {
    await writeFile(`/proc/${pid}/oom_score_adj`, kind === 'build' ? '800' : '300')
  } catch {
    // It has ended, or this machine does not allow it.
  }
}

/** Waits for `promise`, or rejects with the signal's reason as soon as it aborts. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
