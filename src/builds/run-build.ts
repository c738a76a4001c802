import { join, posix } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Redactor } from '../secrets/redactor.ts'
import { SOURCE_DIRECTORY } from '../sources/check-out.ts'
import type { Workspace } from '../sources/check-out.ts'
import type { ExitFacts, ProcessRef, Spawner } from '../spawner/spawner.ts'
import { buildEnvironment } from './build-environment.ts'
import { memoryOfBuild } from './build-memory.ts'
import type { BuildPlan, BuildStep } from './build-plan.ts'
import { OUTPUT_LIMITS, tailLog } from './log-tail.ts'
import type { LogTail, OutputLimits } from './log-tail.ts'
import type { Toolchain } from './toolchain.ts'

export interface BuildDeps {
  spawner: Spawner
  clock: Clock
  newId: NewId
  redactor: Pick<Redactor, 'stream' | 'redact'>
  /** `<data>/logs` */
  logDirectory: string
  toolchain: Pick<Toolchain, 'path'>
}

export interface BuildLog {
  /** What the build prints, redacted; any piece of text. */
  output(text: string): void
  /** A line of ours. */
  note(line: string): void
}

export interface BuildLimits {
  /** For all steps together. */
  timeoutMs: number
  /** Disk use of the workspace. */
  diskBytes: number
  /** Of all processes of the build together. */
  memoryBytes: number
  maxProcesses?: number
  output?: OutputLimits
}

export interface BuildOrder {
  workspace: Workspace
  plan: BuildPlan
  /** The project's build variables. */
  env: Readonly<Record<string, string>>
  log: BuildLog
  limits: BuildLimits
}

const POLL_MS = 100
const FAST_POLL_MS = 5
const CHECK_EVERY_MS = 1000

/**
 * Runs the steps of a plan in a workspace that holds the commit's files, and returns the path of what they made,
 * relative to the workspace's place. Everything of the build's account is ended afterwards, whatever happened. Throws
 * `build.step_failed`, `build.timed_out`, `build.disk_quota`, `build.out_of_memory`, `build.output_missing` and, when
 * the signal aborts, `build.interrupted`.
 */
export async function runBuild(
  deps: BuildDeps,
  order: BuildOrder,
  signal: AbortSignal,
): Promise<{ path: string }> {
  const deadline = deps.clock.now() + order.limits.timeoutMs
  try {
    for (const step of order.plan.steps) await runStep(deps, order, step, deadline, signal)
    return { path: await requireOutput(deps, order, signal) }
  } catch (error) {
    if (!signal.aborted) throw error
    throw new OperationError('build.interrupted', 'The build was ended', { cause: signal.reason })
  } finally {
    await deps.spawner.endAccount(order.workspace.account)
  }
}

async function runStep(
  deps: BuildDeps,
  order: BuildOrder,
  step: BuildStep,
  deadline: number,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const { workspace, plan, limits } = order
  const unit = `build-${deps.newId()}`
  const log = `${unit}.log`
  order.log.note(`$ ${deps.redactor.redact(step.argv.join(' '))}`)
  const child = await deps.spawner.start({
    unit,
    account: workspace.account,
    argv: step.argv,
    env: buildEnvironment({
      step: step.name,
      workspace: workspace.path,
      path: deps.toolchain.path,
      variables: order.env,
    }),
    directory: { ...workspace.place, path: posix.join(SOURCE_DIRECTORY, plan.rootDirectory) },
    limits: {
      maxProcesses: limits.maxProcesses ?? 2048,
      maxOpenFiles: 65_536,
      maxFileBytes: limits.diskBytes,
    },
    log,
  })
  try {
    await using tail = await tailLog({
      path: join(deps.logDirectory, log),
      redactor: deps.redactor,
      output: (text) => order.log.output(text),
      limits: limits.output ?? OUTPUT_LIMITS,
    })
    const exit = await superviseStep(deps, { order, step, child, tail, deadline }, signal)
    requireSuccess(step, exit, await tail.end())
  } finally {
    await deps.spawner.stop(child, { graceMs: 0 })
    await deps.spawner.removeLog(log)
  }
}

interface RunningStep {
  order: BuildOrder
  step: BuildStep
  child: ProcessRef
  tail: LogTail
  deadline: number
}

/**
 * Passes the output on and looks at the limits until the step ends; ends the account when one is exceeded. Each at its
 * own pace: a look at a large tree takes seconds, in which a build that prints without end would fill the disk.
 */
async function superviseStep(
  deps: BuildDeps,
  running: RunningStep,
  signal: AbortSignal,
): Promise<ExitFacts> {
  const over = new AbortController()
  const following = followOutput(deps, running.tail, over.signal)
  const exited = deps.spawner.exited(running.child)
  const excess = watchLimits(deps, running, AbortSignal.any([signal, over.signal]))
  // Two readers at once would pass the same output on twice.
  const stopFollowing = async () => {
    over.abort()
    await following.catch(() => {})
  }
  for (const late of [following, exited, excess]) late.catch(() => {})
  try {
    const end = await Promise.race([
      exited.then((exit) => ({ exit, excess: null })),
      excess.then((reason) => ({ exit: null, excess: reason })),
      following.then(() => new Promise<never>(() => {})),
    ])
    if (end.exit !== null) return end.exit
    await deps.spawner.endAccount(running.order.workspace.account)
    await stopFollowing()
    await running.tail.end()
    if (signal.aborted) {
      throw new OperationError('build.interrupted', 'The build was ended', { cause: signal.reason })
    }
    throw end.excess ?? new Error('A step was ended without a reason')
  } finally {
    await stopFollowing()
  }
}

async function followOutput(deps: BuildDeps, tail: LogTail, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const isFast = await tail.poll()
    await deps.clock.sleep(isFast ? FAST_POLL_MS : POLL_MS, over).catch(() => {})
  }
}

/** Resolves with the limit that the step exceeds, or with null when the signal aborts. */
async function watchLimits(
  deps: BuildDeps,
  running: RunningStep,
  signal: AbortSignal,
): Promise<OperationError | null> {
  let nextCheck = deps.clock.now()
  while (!signal.aborted) {
    const isCheckDue = deps.clock.now() >= nextCheck
    if (isCheckDue) nextCheck = deps.clock.now() + CHECK_EVERY_MS
    const excess = await findExcess(deps, running, isCheckDue)
    if (excess !== null) return excess
    await deps.clock.sleep(POLL_MS, signal).catch(() => {})
  }
  return null
}

async function findExcess(
  deps: BuildDeps,
  { order, step, child, deadline }: RunningStep,
  isCheckDue: boolean,
): Promise<OperationError | null> {
  const { limits, workspace } = order
  if (deps.clock.now() >= deadline) {
    const minutes = Math.round(limits.timeoutMs / 6000) / 10
    const sentence = `The build took longer than ${minutes} min; it was in its ${step.name} step`
    return new OperationError('build.timed_out', sentence)
  }
  if (!isCheckDue) return null
  const disk = await deps.spawner.usage(workspace.place)
  if (disk > limits.diskBytes) {
    const sentence = `The ${step.name} step needs more disk than the ${megabytes(limits.diskBytes)} that a build may use`
    return new OperationError('build.disk_quota', sentence)
  }
  const accountBase = await deps.spawner.accountBase()
  const memory = await memoryOfBuild({ account: workspace.account, accountBase, unit: child.unit })
  if (memory <= limits.memoryBytes) return null
  const sentence = `The ${step.name} step needs more memory than the ${megabytes(limits.memoryBytes)} that a build may use`
  return new OperationError('build.out_of_memory', sentence)
}

function requireSuccess(step: BuildStep, exit: ExitFacts, lastLines: readonly string[]): void {
  if (exit.exitCode === 0) return
  if (exit.exitCode === null && exit.exitSignal === null) {
    throw new OperationError('build.interrupted', `Nobody saw how the ${step.name} step ended`)
  }
  const how =
    exit.exitCode === 127 || exit.exitCode === 126
      ? `"${step.argv[0]}" was not found or could not be run (exit code ${exit.exitCode})`
      : exit.exitSignal === null
        ? `it exited with code ${exit.exitCode}`
        : `it was ended by ${exit.exitSignal}`
  const hint = exit.exitSignal === 'SIGKILL' ? ' (most likely the machine ran out of memory)' : ''
  throw new OperationError('build.step_failed', `The ${step.name} step failed: ${how}${hint}`, {
    details: { step: [step.name], last_lines: lastLines },
  })
}

/** The path of what the build made. Looked at as the build's account: a link in it leads nowhere new. */
async function requireOutput(
  deps: BuildDeps,
  { workspace, plan }: BuildOrder,
  signal: AbortSignal,
): Promise<string> {
  const path = posix.join(SOURCE_DIRECTORY, plan.rootDirectory, plan.outputDirectory)
  // Made by us; and sealing looks again at each directory on the way.
  if (path === SOURCE_DIRECTORY) return path
  const { exitCode } = await deps.spawner.run(
    {
      unit: `look-${deps.newId()}`,
      account: workspace.account,
      argv: ['test', '-d', path],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      directory: workspace.place,
      limits: { maxProcesses: 4096, maxOpenFiles: 256 },
      timeoutMs: 10_000,
    },
    signal,
  )
  if (exitCode === 0) return path
  throw new OperationError(
    'build.output_missing',
    `The build made no directory "${plan.outputDirectory}": set "outputDirectory" to the one that it writes`,
  )
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MB`
}
