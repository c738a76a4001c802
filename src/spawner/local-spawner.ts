import { readFileSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { bootId, isSameProcessAlive } from '../lib/process-identity.ts'
import { currentGid, currentUid } from './accounts.ts'
import type { AccountRange } from './accounts.ts'
import { createAccountEnder } from './end-account.ts'
import { findHostTools } from './host-tools.ts'
import type { HostTools } from './host-tools.ts'
import { openLog, removeLog } from './log-file.ts'
import { findNamespaces } from './namespaces.ts'
import type { KeptDirectory, Namespaces } from './namespaces.ts'
import { partsOfPath, pathOfPlace } from './place-paths.ts'
import { createPlaces } from './places.ts'
import type { Places } from './places.ts'
import { findLeader, processesWithVariable, signal } from './process-table.ts'
import { runUnit } from './run-unit.ts'
import { createRunningUnits, preferForOutOfMemory } from './running-units.ts'
import type { RunningUnits } from './running-units.ts'
import { sealRelease } from './seal-release.ts'
import { accountCommand, limitCeilingsOf } from './spawn-command.ts'
import type { LimitCeilings, SpawnCommand } from './spawn-command.ts'
import type {
  Account,
  BuildAccount,
  Isolation,
  Place,
  ProcessRef,
  ProcessSpec,
  RunSpec,
  Spawner,
} from './spawner.ts'
import { endUnit, stopUnit } from './stop-unit.ts'

export interface LocalSpawnerOptions {
  /** Absolute; made when missing. */
  dataDirectory: string
  /** Owner of log files and reader of static releases; null when not root. */
  platformUser: { uid: number; gid: number } | null
  /** The ids of accounts; null when not root. */
  accounts: AccountRange | null
  clock: Clock
}

/** The spawner itself, in the process that holds the privilege. Disposing of it leaves what it started running. */
export interface LocalSpawner extends Spawner, AsyncDisposable {
  /**
   * A `start` that was sent before and whose answer was lost. Never starts what may have run already: a process of the
   * unit that lives or has ended under this spawner is the answer; else, when it was another spawner that was asked,
   * throws `spawner.lost`.
   */
  startAgain(spec: ProcessSpec, options: { askedAnother: boolean }): Promise<ProcessRef>
}

const END_DEADLINE_MS = 15_000

interface Engine {
  dataDirectory: string
  platformUser: { uid: number; gid: number } | null
  accounts: AccountRange | null
  clock: Clock
  tools: HostTools
  ceilings: LimitCeilings
  isolation: Isolation
  namespaces: Namespaces | null
  places: Places
  units: RunningUnits
  /** Units by account, for machines where accounts are no users. */
  unitsOfAccount: Map<string, Set<string>>
  starting: Map<string, Promise<ProcessRef>>
}

export function createLocalSpawner(options: LocalSpawnerOptions): LocalSpawner {
  const engine = createEngine(options)
  const { dataDirectory, tools, clock, accounts, places, units } = engine
  const endBuildUid = accounts === null ? null : createAccountEnder({ tools, clock, accounts })
  const logs = join(dataDirectory, 'logs')
  return {
    start: (spec) => startOnce(engine, logs, spec),
    async startAgain(spec, { askedAnother }) {
      const ended = units.findEnded(spec.unit)
      if (ended !== null) return ended
      if (!askedAnother || livingLeader(engine, spec) !== null) return startOnce(engine, logs, spec)
      throw new OperationError(
        'spawner.lost',
        `Cannot tell whether "${spec.unit}" was started: the spawner ended meanwhile`,
      )
    },
    async run(spec, signal) {
      return runUnit({ clock, accounts, units }, spec, await commandOf(engine, spec), signal)
    },
    exited: (ref, signal) => units.exited(ref, signal),
    isAlive: (ref) => Promise.resolve(isSameProcessAlive(ref)),
    stop: (ref, options) => stopUnit({ clock, accounts }, ref, options),
    async endAccount(account) {
      if (account.kind !== 'build') throw notABuild()
      if (accounts !== null && endBuildUid !== null) return endBuildUid(accounts.uidOf(account))
      if (engine.namespaces !== null) return endMarked(engine, account)
      const known = engine.unitsOfAccount.get(keyOf(account)) ?? new Set()
      const end = (unit: string) => endUnit({ clock, accounts }, unit, units.findLiving(unit))
      await Promise.all([...known].map(end))
      engine.unitsOfAccount.delete(keyOf(account))
    },
    makeDirectory: (place, owner) => places.make(place, owner),
    usage: (place) => places.usage(place),
    remove: (place) => places.remove(place),
    sealRelease: (options) =>
      sealRelease(
        { dataDirectory, tools, accounts, platformGid: engine.platformUser?.gid ?? currentGid() },
        options,
      ),
    removeLog: (log) => removeLog(logs, log),
    isolation: () => Promise.resolve(engine.isolation),
    accountBase: () => Promise.resolve(accounts?.base ?? null),
    async [Symbol.asyncDispose]() {
      units.release()
    },
  }
}

function createEngine(options: LocalSpawnerOptions): Engine {
  const { accounts } = options
  if ((currentUid() === 0) !== (accounts !== null)) throw new Error('root alone has accounts')
  const tools = findHostTools()
  const namespaces = findNamespaces(tools, options.dataDirectory)
  const isolation: Isolation =
    accounts !== null ? 'users' : namespaces === null ? 'none' : 'namespaces'
  return {
    ...options,
    tools,
    isolation,
    namespaces,
    ceilings: limitCeilingsOf(readFileSync('/proc/self/limits', 'utf8')),
    places: createPlaces({
      dataDirectory: options.dataDirectory,
      tools,
      accounts,
    }),
    units: createRunningUnits({ clock: options.clock }),
    unitsOfAccount: new Map(),
    starting: new Map(),
  }
}

/** A unit that lives is not started again: a client may repeat what it does not know to have arrived. */
function startOnce(engine: Engine, logs: string, spec: ProcessSpec): Promise<ProcessRef> {
  const underway = engine.starting.get(spec.unit)
  if (underway !== undefined) return underway
  const started = (async () => livingLeader(engine, spec) ?? (await launch(engine, logs, spec)))()
  engine.starting.set(spec.unit, started)
  const forget = () => engine.starting.delete(spec.unit)
  started.then(forget, forget)
  return started
}

function livingLeader(engine: Engine, spec: ProcessSpec): ProcessRef | null {
  const { accounts } = engine
  const own = engine.units.findLiving(spec.unit)
  if (own !== null) return own
  const leader = findLeader(spec.unit, accounts?.uidOf(spec.account) ?? currentUid(), accounts)
  if (leader === null) return null
  return { unit: spec.unit, pid: leader.pid, startTicks: leader.startTicks, bootId: bootId() }
}

async function launch(engine: Engine, logs: string, spec: ProcessSpec): Promise<ProcessRef> {
  const command = await commandOf(engine, spec)
  await makeLogDirectory(logs)
  const log = await openLog(logs, spec.log, engine.platformUser)
  try {
    const { ref } = await engine.units.launch(spec.unit, command, ['ignore', log.fd, log.fd])
    await preferForOutOfMemory(ref.pid, spec.account.kind)
    return ref
  } finally {
    await log.close()
  }
}

async function commandOf(engine: Engine, spec: ProcessSpec | RunSpec): Promise<SpawnCommand> {
  const { path = '.', ...place } = spec.directory
  const directory = join(pathOfPlace(engine.dataDirectory, place), ...partsOfPath(path))
  const user = engine.accounts === null ? null : await userOf(engine, engine.accounts, spec)
  remember(engine, spec)
  const { tools, namespaces, ceilings, dataDirectory } = engine
  const wrapper = namespaces?.identity ?? []
  const command = accountCommand(tools, { ...spec, user, directory, wrapper }, ceilings)
  if (namespaces === null) return command
  return namespaces.wrap(command, {
    unit: spec.unit,
    account: markOf(engine, spec.account),
    kept: keptDirectories(dataDirectory, spec),
  })
}

/** All that a unit in namespaces sees of the data directory. */
function keptDirectories(dataDirectory: string, spec: ProcessSpec | RunSpec): KeptDirectory[] {
  const { directory, mirror, app } = spec
  const keep = (place: Place) => ({
    path: pathOfPlace(dataDirectory, place),
    writable: place.area !== 'releases',
  })
  return [
    { path: join(dataDirectory, 'toolchain'), writable: false, optional: true },
    keep(directory),
    ...(mirror === undefined ? [] : [keep({ area: 'mirrors', id: mirror })]),
    ...(app === undefined ? [] : [keep({ area: 'apps', id: app })]),
  ]
}

/** Also ends what an earlier spawner started. The kernel ends all of a namespace before its first process is gone. */
async function endMarked(engine: Engine, account: BuildAccount): Promise<void> {
  const deadline = engine.clock.now() + END_DEADLINE_MS
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    const pids = processesWithVariable('NANOSCALE_ACCOUNT', markOf(engine, account), null)
    if (pids.length === 0) return
    if (engine.clock.now() > deadline) {
      throw new OperationError(
        'spawner.account_not_ended',
        `Cannot end everything of ${keyOf(account)}: ${pids.length} processes are left after ${END_DEADLINE_MS / 1000} s`,
      )
    }
    for (const pid of pids) signal(pid, 'SIGKILL')
    await engine.clock.sleep(pauseMs)
  }
}

/** In the environment of the first processes of a unit in namespaces, which its commands can neither see nor change. */
function markOf(engine: Engine, account: Account): string {
  return `${keyOf(account)}@${engine.dataDirectory}`
}

async function userOf(engine: Engine, accounts: AccountRange, spec: ProcessSpec | RunSpec) {
  const uid = accounts.uidOf(spec.account)
  return { uid, gid: spec.mirror === undefined ? uid : await engine.places.mirrorGid(spec.mirror) }
}

function remember(engine: Engine, spec: ProcessSpec | RunSpec): void {
  if (engine.isolation !== 'none' || spec.account.kind !== 'build') return
  const units = engine.unitsOfAccount.get(keyOf(spec.account)) ?? new Set()
  engine.unitsOfAccount.set(keyOf(spec.account), units.add(spec.unit))
}

function keyOf(account: Account): string {
  return `${account.kind}-${account.slot}`
}

async function makeLogDirectory(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o711 })) !== undefined) await chmod(path, 0o711)
}

function notABuild(): OperationError {
  return new OperationError(
    'spawner.invalid_account',
    'Cannot end a project account at once: its units are stopped one by one',
  )
}
