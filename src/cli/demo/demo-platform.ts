import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { chooseFreePort } from '../../lib/free-port.ts'
import { runCommand } from '../../lib/run-command.ts'
import { type ApiClient, createApiClient } from '../api-client.ts'

export interface DemoPlatform extends AsyncDisposable {
  dataDirectory: string
  trafficPort: number
  client: ApiClient
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
  /** Of the API; any that is free when not given. */
  port?: number
  /** Further settings, or other ones than those of a demo. */
  environment?: Readonly<Record<string, string>>
  signal: AbortSignal
}): Promise<DemoPlatform> {
  const { directory, signal } = options
  const dataDirectory = path.join(directory, 'data')
  const [port, trafficPort] = [options.port ?? (await chooseFreePort()), await chooseFreePort()]
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
    ...options.environment,
  }
  const output = path.join(directory, 'nanoscale.log')
  const launcher = launch(env, output)
  const client = createApiClient({
    kind: 'operator',
    socket: path.join(dataDirectory, 'run/operator.sock'),
    organization: null,
  })
  const platform: DemoPlatform = {
    dataDirectory,
    trafficPort,
    client,
    page: (hostname) => readPage(trafficPort, hostname),
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
    while (!(await isReady(client))) {
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

async function isReady(client: ApiClient): Promise<boolean> {
  return await client.call('readiness', {}).then(
    () => true,
    () => false,
  )
}

function readPage(port: number, hostname: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      headers: { host: `${hostname}:${port}` },
      timeout: REQUEST_TIMEOUT_MS,
      agent: false,
    })
    request.once('timeout', () => request.destroy(new Error('No answer in time')))
    request.once('error', reject)
    request.once('response', (response) => {
      text(response).then(resolve, reject)
    })
    request.end()
  })
}
