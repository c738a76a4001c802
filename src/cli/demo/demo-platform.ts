import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request as httpRequest, type RequestOptions } from 'node:http'
import path from 'node:path'

import { chooseFreePort } from '../../lib/free-port.ts'
import { runCommand } from '../../lib/run-command.ts'

export interface DemoPlatform extends AsyncDisposable {
  trafficPort: number
  /** A request to the API over the operator's socket. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>
  /** A page of an app, as a browser gets it. */
  page(hostname: string): Promise<string>
}

const LAUNCHER = path.resolve(import.meta.dirname, '../../../nanoscale')
const START_TIMEOUT_MS = 60_000
const REQUEST_TIMEOUT_MS = 10_000

/** Starts a NanoScale of its own in `directory`, on free ports; disposing ends it with all of its apps. */
export async function startDemoPlatform(options: {
  directory: string
  gitHost: string
  signal: AbortSignal
}): Promise<DemoPlatform> {
  const { directory, signal } = options
  const dataDirectory = path.join(directory, 'data')
  const [port, trafficPort] = [await chooseFreePort(), await chooseFreePort()]
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: directory,
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? path.join(directory, 'cache'),
    NANOSCALE_DATA_DIR: dataDirectory,
    NANOSCALE_PORT: String(port),
    NANOSCALE_TRAFFIC_PORT: String(trafficPort),
    NANOSCALE_GIT_HOSTS: options.gitHost,
    NANOSCALE_POLL_INTERVAL_SECONDS: '1',
    NANOSCALE_STANDBY_SECONDS: '2',
    NANOSCALE_DRAIN_SECONDS: '2',
  }
  const output = path.join(directory, 'nanoscale.log')
  const launcher = launch(env, output)
  const socketPath = path.join(dataDirectory, 'run/operator.sock')
  const platform: DemoPlatform = {
    trafficPort,
    async api<T>(method: string, apiPath: string, body?: unknown): Promise<T> {
      const answer = await send({ socketPath, path: apiPath, method }, body)
      if (answer.status >= 300) throw new Error(`${method} ${apiPath}: ${answer.text}`)
      return JSON.parse(answer.text) as T
    },
    async page(hostname) {
      const headers = { host: `${hostname}:${trafficPort}` }
      return (await send({ host: '127.0.0.1', port: trafficPort, path: '/', headers })).text
    },
    async [Symbol.asyncDispose]() {
      await runCommand(
        { argv: [process.execPath, LAUNCHER, 'stop', '--all'], cwd: directory, env },
        { timeoutMs: 60_000 },
      )
      launcher.kill('SIGTERM')
      await ended(launcher)
    },
  }
  try {
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await isReady(socketPath))) {
      signal.throwIfAborted()
      if (launcher.exitCode !== null || Date.now() > deadline) {
        throw new Error(`Cannot start the demo: ${await readFile(output, 'utf8')}`)
      }
      await pause(50)
    }
    return platform
  } catch (error) {
    await platform[Symbol.asyncDispose]()
    throw error
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function launch(env: Record<string, string>, outputFile: string): ChildProcess {
  const output = openSync(outputFile, 'a')
  // A session of its own: Ctrl-C is for the demo, which then ends the platform in order.
  const child = spawn(process.execPath, [LAUNCHER, 'start'], {
    env,
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  return child
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

async function isReady(socketPath: string): Promise<boolean> {
  const answer = await send({ socketPath, path: '/readyz' }).catch(() => null)
  return answer?.status === 200
}

function send(options: RequestOptions, body?: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? '' : JSON.stringify(body)
    const request = httpRequest({ timeout: REQUEST_TIMEOUT_MS, agent: false, ...options })
    if (json !== '') request.setHeader('content-type', 'application/json')
    request.once('timeout', () => request.destroy(new Error('No answer in time')))
    request.once('error', reject)
    request.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.end(json)
  })
}
