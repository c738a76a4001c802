import { spawn } from 'node:child_process'

import type { Clock } from '../lib/clock.ts'
import { OperationError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { identityOf, isSameProcessAlive } from '../lib/process-identity.ts'
import { currentUid } from './accounts.ts'
import { findHostTools } from './host-tools.ts'
import type { PlatformRecord, PlatformState } from './platform-state.ts'
import { signal, uidOfProcess } from './process-table.ts'

const POLL_MS = 100
const READY_POLL_MS = 25
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 10_000
/** A process that lived this long had started well: its next restart is immediate again. */
const STEADY_MS = 10_000
const HOPELESS_ENDS = 5
const KILL_DEADLINE_MS = 5000

export interface PlatformProcessSpec {
  name: 'control' | 'traffic'
  argv: readonly [string, ...string[]]
  env: Readonly<Record<string, string>>
  /** Who it runs as; null when that is the current user. */
  user: { uid: number; gid: number } | null
  /** A living process of another hash is replaced, one of this hash adopted. */
  programHash: string
  /** `overlap`: the new one is ready before the old one is asked to end. `in_turn`: two must never run at once. */
  replacement: 'overlap' | 'in_turn'
  /** Whether this very process serves; asked repeatedly when it replaces another. */
  isReady(pid: number): Promise<boolean>
  readyTimeoutMs: number
  /** From SIGTERM to SIGKILL: longer than it takes to drain. */
  stopGraceMs: number
}

/** A platform process that is kept running. Disposing of it ends the watch and leaves the process running. */
export interface SupervisedProcess extends AsyncDisposable {
  /** Null in the moment between two. */
  pid(): number | null
  /**
   * Aborts, with an `OperationError` as its reason, when a process that has not yet lived for 10 s here ended five
   * times: it is not started again.
   */
  gaveUp: AbortSignal
  /** Ends the process and resolves when it is gone. */
  stop(): Promise<void>
}

interface Deps {
  clock: Clock
  log: Logger
  state: PlatformState
}

/**
 * Adopts, replaces or starts a platform process, then starts it again whenever it ends: at once the first time, then
 * with growing pauses. Resolves when it runs (not: is ready). Throws `platform.failed_to_start`.
 */
export async function superviseProcess(
  deps: Deps,
  spec: PlatformProcessSpec,
): Promise<SupervisedProcess> {
  const watch = new AbortController()
  const gaveUp = new AbortController()
  const first = await adoptOrStart(deps, spec)
  let current: PlatformRecord | null = first
  const keeping = keepRunning(deps, spec, first, {
    signal: watch.signal,
    onChange: (record) => (current = record),
    onHopeless: () => gaveUp.abort(hopeless(spec)),
  })
  const endWatch = async () => {
    watch.abort()
    await keeping
  }
  return {
    pid: () => current?.pid ?? null,
    gaveUp: gaveUp.signal,
    async stop() {
      await endWatch()
      if (current === null) return
      await endProcess(deps, spec, current)
      recordProcess(deps, spec, null)
      current = null
    },
    [Symbol.asyncDispose]: endWatch,
  }
}

async function adoptOrStart(deps: Deps, spec: PlatformProcessSpec): Promise<PlatformRecord> {
  const known = deps.state.read(spec.name)
  if (known === null || !isOurs(known, spec)) return launch(deps, spec)
  if (known.programHash === spec.programHash) {
    deps.log.info('Platform process adopted', { process: spec.name, pid: known.pid })
    return known
  }
  deps.log.info('Platform process replaced', { process: spec.name, pid: known.pid })
  if (spec.replacement === 'in_turn') {
    await endProcess(deps, spec, known)
    return launch(deps, spec)
  }
  return takeOver(deps, spec, known)
}

/** The new one serves before the old one is asked to drain; a new one that never serves leaves the old one in place. */
async function takeOver(
  deps: Deps,
  spec: PlatformProcessSpec,
  old: PlatformRecord,
): Promise<PlatformRecord> {
  const fresh = launch(deps, spec)
  if (await becomesReady(deps, spec, fresh)) {
    // It drains for as long as it takes; visitors are already served by the new one.
    void endProcess(deps, spec, old)
    return fresh
  }
  deps.log.error('Platform process not replaced: the new one did not become ready', {
    process: spec.name,
  })
  await endProcess(deps, spec, fresh)
  recordProcess(deps, spec, old)
  return old
}

async function becomesReady(
  deps: Deps,
  spec: PlatformProcessSpec,
  record: PlatformRecord,
): Promise<boolean> {
  const deadline = deps.clock.now() + spec.readyTimeoutMs
  while (isSameProcessAlive(record) && deps.clock.now() < deadline) {
    if (await spec.isReady(record.pid).catch(() => false)) return true
    await deps.clock.sleep(READY_POLL_MS)
  }
  return false
}

/** The file that names it may have been written by anybody of the platform's user: root signals only that user's. */
function isOurs(record: PlatformRecord, spec: PlatformProcessSpec): boolean {
  const uid = spec.user?.uid ?? currentUid()
  return isSameProcessAlive(record) && record.pid > 1 && uidOfProcess(record.pid) === uid
}

/** Detached, so that it outlives us; what it prints goes where ours goes. */
function launch(deps: Deps, spec: PlatformProcessSpec): PlatformRecord {
  const [file, ...args] = [findHostTools().setpriv, '--no-new-privs', '--', ...spec.argv]
  const child = spawn(file, args, {
    cwd: '/',
    env: { ...spec.env },
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    // Between fork and exec: a process is never seen with our own uid, by which it would not be known again.
    ...spec.user,
  })
  let failure = 'it ended at once'
  child.once('error', (error) => {
    failure = messageOf(error)
    deps.log.error('Platform process failed', { process: spec.name, error: failure })
  })
  child.unref()
  const identity = child.pid === undefined ? null : identityOf(child.pid)
  if (identity === null) {
    throw new OperationError('platform.failed_to_start', `Cannot start ${spec.name}: ${failure}`)
  }
  const record = { ...identity, programHash: spec.programHash }
  recordProcess(deps, spec, record)
  deps.log.info('Platform process started', { process: spec.name, pid: record.pid })
  return record
}

/** On a full disk it runs on all the same; only the next spawner would not know it. */
function recordProcess(deps: Deps, spec: PlatformProcessSpec, record: PlatformRecord | null): void {
  try {
    deps.state.write(spec.name, record)
  } catch (error) {
    deps.log.error('Platform process not recorded', {
      process: spec.name,
      error: messageOf(error),
    })
  }
}

interface Watch {
  signal: AbortSignal
  onChange(record: PlatformRecord | null): void
  onHopeless(): void
}

async function keepRunning(
  deps: Deps,
  spec: PlatformProcessSpec,
  first: PlatformRecord,
  watch: Watch,
): Promise<void> {
  let ends = 0
  let wasSteady = false
  let record: PlatformRecord | null = first
  try {
    for (;;) {
      const since = deps.clock.now()
      if (record !== null) await untilGone(deps, record, watch.signal)
      watch.onChange(null)
      const isSteady = deps.clock.now() - since >= STEADY_MS
      wasSteady ||= isSteady
      ends = isSteady ? 1 : ends + 1
      deps.log.warn('Platform process ended', { process: spec.name, pid: record?.pid, ends })
      if (!wasSteady && ends >= HOPELESS_ENDS) return watch.onHopeless()
      if (ends > 1) await deps.clock.sleep(pauseAfter(ends), watch.signal)
      record = relaunch(deps, spec)
      watch.onChange(record)
    }
  } catch (error) {
    // The watch is over; anything else is a fault of ours that must not pass unseen.
    if (!watch.signal.aborted) throw error
  }
}

/** Adopted or started by us: looked at the same way, and found dead as quickly. */
async function untilGone(deps: Deps, record: PlatformRecord, signal: AbortSignal): Promise<void> {
  while (isSameProcessAlive(record)) await deps.clock.sleep(POLL_MS, signal)
}

function relaunch(deps: Deps, spec: PlatformProcessSpec): PlatformRecord | null {
  try {
    return launch(deps, spec)
  } catch (error) {
    deps.log.error('Platform process not started', { process: spec.name, error: messageOf(error) })
    return null
  }
}

/** Nothing after the first end, then 50 ms, 100 ms and so on up to 10 s: apps are away meanwhile. */
function pauseAfter(ends: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (ends - 2), MAX_PAUSE_MS)
}

async function endProcess(
  deps: Deps,
  spec: PlatformProcessSpec,
  record: PlatformRecord,
): Promise<void> {
  const deadline = deps.clock.now() + spec.stopGraceMs
  if (isOurs(record, spec)) signal(record.pid, 'SIGTERM')
  while (isOurs(record, spec)) {
    if (deps.clock.now() > deadline + KILL_DEADLINE_MS) return
    // The group, too: what it started itself goes with it.
    if (deps.clock.now() > deadline) signal(-record.pid, 'SIGKILL')
    await deps.clock.sleep(READY_POLL_MS)
  }
}

function hopeless(spec: PlatformProcessSpec): OperationError {
  return new OperationError(
    'platform.keeps_ending',
    `Cannot keep ${spec.name} running: it ended ${HOPELESS_ENDS} times right after its start; its last lines above say why`,
  )
}
