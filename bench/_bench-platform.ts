import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

import { sendRequest } from '../test/system/_http.ts'

const CHECKOUT = join(import.meta.dirname, '..')
/** The first line of what `start` prints once everything answers. */
const READY = 'NanoScale is ready.'
const START_DEADLINE_MS = 60_000
const REQUEST_DEADLINE_MS = 60_000

/** A whole platform with the settings that everybody has, in a data directory of its own. */
export interface BenchPlatform extends AsyncDisposable {
  dataDirectory: string
  /** Runs `nanoscale start` and resolves with the milliseconds until it said that it is ready. */
  start(): Promise<number>
  /** `nanoscale stop --all`. */
  stop(): Promise<void>
  api<T>(method: string, path: string, body?: unknown): Promise<T>
  pids(): Promise<Record<'launcher' | 'foreground' | 'control' | 'traffic', number>>
}

export async function createBenchPlatform(options: {
  gitHostPort: number
}): Promise<BenchPlatform> {
  const home = await mkdtemp(join(tmpdir(), 'nanoscale-bench-'))
  // Apps and builds run under other uids and must be able to pass through.
  await chmod(home, 0o711)
  const dataDirectory = join(home, 'data')
  const [port, trafficPort] = await findFreePorts()
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    NANOSCALE_DATA_DIR: dataDirectory,
    NANOSCALE_PORT: String(port),
    NANOSCALE_TRAFFIC_PORT: String(trafficPort),
    NANOSCALE_GIT_HOSTS: `127.0.0.1:${options.gitHostPort}@private`,
  }
  let launcher: ChildProcess | null = null
  const stop = async () => {
    if (launcher === null) return
    const exited = launcher.exitCode === null ? once(launcher, 'exit') : Promise.resolve()
    const stopping = launch(['stop', '--all'], env)
    stopping.stdout?.resume()
    await once(stopping, 'exit')
    await exited
    launcher = null
  }
  const pids = async () => {
    const text = await readFile(join(dataDirectory, 'run', 'platform.json'), 'utf8')
    const { control, traffic } = JSON.parse(text) as Record<string, { pid: number }>
    const pid = launcher?.pid ?? 0
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    const foreground = Number.parseInt(children, 10)
    return { launcher: pid, foreground, control: control?.pid ?? 0, traffic: traffic?.pid ?? 0 }
  }
  return {
    dataDirectory,
    pids,
    stop,
    api: (method, path, body) => callApi(dataDirectory, method, path, body),
    async start() {
      const startedAt = performance.now()
      launcher = launch(['start'], env)
      await untilReady(launcher)
      return performance.now() - startedAt
    },
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(home, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

async function callApi<T>(
  dataDirectory: string,
  method: string,
  path: string,
  body: unknown,
): Promise<T> {
  const answer = await sendRequest({
    socketPath: join(dataDirectory, 'run', 'operator.sock'),
    path,
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    timeoutMs: REQUEST_DEADLINE_MS,
  })
  if (answer.status < 300) return JSON.parse(answer.text) as T
  throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`)
}

function launch(args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [join(CHECKOUT, 'nanoscale'), ...args], {
    env,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function untilReady(launcher: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let printed = ''
    const fail = (why: string) => reject(new Error(`start ${why}; it printed:\n${printed}`))
    const timer = setTimeout(() => fail('did not become ready'), START_DEADLINE_MS)
    launcher.once('exit', () => fail('ended'))
    launcher.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-4000)
      if (!printed.includes(READY)) return
      clearTimeout(timer)
      resolve()
    })
  })
}

async function findFreePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const
  const ports = servers.map(async (server) => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  const [first = 0, second = 0] = await Promise.all(ports)
  for (const server of servers) server.close()
  return [first, second]
}
