import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { FAULT_POINT_FILE } from '../../src/lib/fault-point.ts'
import { chooseFreePort } from '../../src/lib/free-port.ts'
import { runCommand } from '../../src/lib/run-command.ts'
import { type Answer, sendRequest } from './_http.ts'
import { childrenOf, listPlatformProcesses, type ProcessFacts } from './_processes.ts'
import { waitFor } from './_wait-for.ts'

const CHECKOUT = path.resolve(import.meta.dirname, '../..')

export interface PlatformOptions {
  /** Port of the Git host on loopback that projects may name. */
  gitHostPort: number
  /** Further `NANOSCALE_*` settings, or other ones than the short intervals of the tests. */
  environment?: Record<string, string>
  /** Where the program is; the checkout unless a test upgrades. */
  program?: string
  /** The user (and group) that starts it; only root can choose. */
  uid?: number
}

type Kind = 'control' | 'traffic' | 'spawner'

export interface Platform extends AsyncDisposable {
  dataDirectory: string
  port: number
  trafficPort: number
  /** A request to the API over the operator's socket; throws what the API said when that is no success. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>
  /** The same, but any answer is fine. */
  request(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>
  /** Runs `./nanoscale … --json` and parses what it prints. */
  cli<T>(...args: string[]): Promise<T>
  /** A request to an app through the traffic port. */
  get(hostname: string, path: string, headers?: Record<string, string>): Promise<Answer>
  pids(): Promise<Record<Kind, number>>
  /** SIGKILL, and resolves when another process does its work. */
  kill(kind: Kind): Promise<void>
  /** The control plane dies when the next deployment enters this state, once. */
  armFault(state: string): Promise<void>
  /** Ends the control plane in order, as an upgrade does, and resolves when the next one is ready. */
  restartControl(): Promise<void>
  /** Ends `start` as SIGTERM does, and starts it again from `program`. */
  restart(program?: string): Promise<void>
  /** Everything of this platform that runs, apps and builds included. */
  processes(): Promise<ProcessFacts[]>
  /** `nanoscale stop --all`; throws when anything is left over. */
  stopAll(): Promise<void>
  /** What `start` printed. */
  output(): Promise<string>
}

/** Short intervals, so that a test sees in seconds what takes minutes in production. */
const TEST_SETTINGS = {
  NANOSCALE_POLL_INTERVAL_SECONDS: '1',
  NANOSCALE_HEALTH_TIMEOUT_SECONDS: '8',
  NANOSCALE_DRAIN_SECONDS: '6',
  NANOSCALE_STOP_GRACE_SECONDS: '2',
  NANOSCALE_STANDBY_SECONDS: '8',
  NANOSCALE_BUILD_TIMEOUT_SECONDS: '60',
  NANOSCALE_LOG_LEVEL: 'debug',
}

/** Starts the whole platform, as `./nanoscale start` does, on free ports and with a data directory of its own. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const home = await mkdtemp('/tmp/nanoscale-system-')
  // Apps and builds run under other uids and must be able to pass through.
  await chmod(home, 0o711)
  if (options.uid !== undefined) await chown(home, options.uid, options.uid)
  const user = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }
  const dataDirectory = path.join(home, 'data')
  const [port, trafficPort] = await Promise.all([chooseFreePort(), chooseFreePort()])
  const environment: Record<string, string> = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    ...TEST_SETTINGS,
    NANOSCALE_DATA_DIR: dataDirectory,
    NANOSCALE_PORT: String(port),
    NANOSCALE_TRAFFIC_PORT: String(trafficPort),
    NANOSCALE_GIT_HOSTS: `127.0.0.1:${options.gitHostPort}@private`,
    ...options.environment,
  }
  let program = options.program ?? CHECKOUT
  const outputFile = path.join(home, 'start.log')
  let launcher = launch({ program, env: environment, user }, outputFile)
  let stopped = false

  const request = (
    method: string,
    apiPath: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) =>
    sendRequest({
      socketPath: path.join(dataDirectory, 'run/operator.sock'),
      path: apiPath,
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs: 20_000,
    })
  const isReady = async () => (await request('GET', '/readyz').catch(() => null))?.status === 200
  const processes = () => listPlatformProcesses(dataDirectory)
  const output = () => readFile(outputFile, 'utf8').catch(() => '')

  const pids = async () => {
    const facts: Record<'control' | 'traffic', { pid: number }> = JSON.parse(
      await readFile(path.join(dataDirectory, 'run/platform.json'), 'utf8'),
    )
    const [spawner] = await childrenOf(launcher.pid ?? -1)
    assert.ok(spawner, 'the launcher has no child')
    return { control: facts.control.pid, traffic: facts.traffic.pid, spawner: spawner.pid }
  }
  const replaced = async (kind: Kind, before: number) => {
    await waitFor(`another ${kind} process`, 20_000, async () => {
      const now = await pids().catch(() => null)
      return now !== null && now[kind] !== before && isRunning(now[kind])
    })
    await waitFor('the platform to be ready again', 20_000, isReady)
  }

  const platform: Platform = {
    dataDirectory,
    port,
    trafficPort,
    request,
    processes,
    output,
    pids,
    async api<T>(method: string, apiPath: string, body?: unknown): Promise<T> {
      const answer = await request(method, apiPath, body)
      if (answer.status >= 300) {
        throw new Error(`${method} ${apiPath} answered ${answer.status}: ${answer.text}`)
      }
      return (answer.text === '' ? undefined : JSON.parse(answer.text)) as T
    },
    async cli<T>(...args: string[]): Promise<T> {
      return (await runCli({ program, env: environment, user }, [...args, '--json'])) as T
    },
    get: (hostname, appPath, headers = {}) =>
      sendRequest({ port: trafficPort, path: appPath, headers: { ...headers, host: hostname } }),
    async kill(kind) {
      const before = (await pids())[kind]
      process.kill(before, 'SIGKILL')
      await replaced(kind, before)
    },
    armFault: (state) => writeFile(path.join(dataDirectory, 'run', FAULT_POINT_FILE), state),
    async restartControl() {
      const before = (await pids()).control
      process.kill(before, 'SIGTERM')
      await replaced('control', before)
    },
    async restart(next = program) {
      launcher.kill('SIGTERM')
      await waitForExit(launcher, 30_000)
      program = next
      launcher = launch({ program, env: environment, user }, outputFile)
      await waitFor('the restarted platform to be ready', 60_000, isReady)
    },
    async stopAll() {
      await runCli({ program, env: environment, user }, ['stop', '--all'])
      await waitForExit(launcher, 20_000)
      stopped = true
      await assertNothingLeft(platform)
    },
    async [Symbol.asyncDispose]() {
      if (!stopped) await endByForce(platform, launcher)
      // Releases are read-only, also for who made them unless that is root.
      await runCommand({ argv: ['chmod', '-R', 'u+rwX', '--', home] }, { timeoutMs: 20_000 })
      await rm(home, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  try {
    await waitFor(
      'the platform to be ready',
      90_000,
      async () => launcher.exitCode !== null || (await isReady()),
    )
    assert.equal(launcher.exitCode, null, 'start has ended')
  } catch (error) {
    const printed = await output()
    await platform[Symbol.asyncDispose]()
    throw new Error(`the platform did not start; it printed:\n${printed.slice(-4000)}`, {
      cause: error,
    })
  }
  return platform
}

type Launch = { program: string; env: Record<string, string>; user: { uid?: number; gid?: number } }

function launch({ program, env, user }: Launch, outputFile: string): ChildProcess {
  const output = openSync(outputFile, 'a')
  // A group of its own: a Ctrl-C at the terminal is the test runner's, which then disposes.
  const child = spawn(process.execPath, [path.join(program, 'nanoscale'), 'start'], {
    env,
    ...user,
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  return child
}

async function runCli({ program, env, user }: Launch, args: string[]) {
  const child = spawn(process.execPath, [path.join(program, 'nanoscale'), ...args], {
    env,
    ...user,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  const printed: string[] = []
  const complained: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => complained.push(text))
  const [exitCode] = await once(child, 'close')
  if (exitCode !== 0) {
    throw new Error(
      `nanoscale ${args.join(' ')} ended with ${exitCode}: ${printed.join('')}${complained.join('')}`,
    )
  }
  return parseIfJson(printed.join(''))
}

function parseIfJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function assertNothingLeft(platform: Platform): Promise<void> {
  let left: ProcessFacts[] = []
  await waitFor('nothing to be left running', 5000, async () => {
    left = await platform.processes()
    return left.length === 0
  }).catch(() => {})
  assert.deepEqual(
    left.map(({ pid, uid, command }) => ({ pid, uid, command })),
    [],
    'processes are left over',
  )
  for (const port of [platform.port, platform.trafficPort]) {
    const answer = await sendRequest({ port, path: '/', timeoutMs: 2000 }).catch(() => null)
    assert.equal(answer, null, `port ${port} still answers`)
  }
}

async function endByForce(platform: Platform, launcher: ChildProcess): Promise<void> {
  launcher.kill('SIGKILL')
  await waitFor('everything to be killed', 10_000, async () => {
    const left = await platform.processes()
    for (const { pid } of left) signalIfRunning(pid, 'SIGKILL')
    return left.length === 0
  })
}

async function waitForExit(child: ChildProcess, timeoutMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await once(child, 'exit', { signal: AbortSignal.timeout(timeoutMs) })
}

export function isRunning(pid: number): boolean {
  return signalIfRunning(pid, 0)
}

function signalIfRunning(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}
