import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'

import { type Config, type Environment, loadConfig } from './config/config.ts'
import { systemClock } from './lib/clock.ts'
import { createLogger } from './lib/logger.ts'
import { endApps } from './platform/end-apps.ts'
import { takeForegroundLock } from './platform/foreground-lock.ts'
import { keepPlatform, type Platform } from './platform/keep-platform.ts'
import { createLineWriter, outliveReaders } from './platform/process-output.ts'
import { readSetupLink } from './platform/read-setup-link.ts'
import { describeStart } from './platform/start-banner.ts'
import { aborted, listenForStop, type StopRequests } from './platform/stop-requests.ts'
import { waitUntilReady } from './platform/wait-until-ready.ts'
import { removeOldPrograms } from './spawner/install-program.ts'
import { createLocalSpawner } from './spawner/local-spawner.ts'
import type { SupervisedProcess } from './spawner/platform-processes.ts'
import { prepareHost } from './spawner/prepare-host.ts'
import { startSpawnerServer } from './spawner/spawner-server.ts'
import type { Isolation } from './spawner/spawner.ts'

const CHECKOUT = join(import.meta.dirname, '..')
const clock = systemClock

/**
 * `nanoscale start`, the foreground process: it is the spawner, and keeps the control plane and the traffic process
 * running. Ends when asked to; what it leaves running is adopted by the next one.
 */
export async function start(env: Environment): Promise<void> {
  try {
    await runForeground(env)
  } finally {
    // The channel to the launcher would keep this process alive.
    if (process.connected) process.disconnect?.()
  }
}

async function runForeground(env: Environment): Promise<void> {
  outliveReaders()
  process.umask(0o022)
  const config = loadConfig(env)
  const { dataDirectory } = config
  const requests = listenForStop({ clock })
  const log = createLogger({ level: config.logLevel, write: createLineWriter() })
  await using _lock = await takeForegroundLock(dataDirectory)
  const host = await prepareHost(
    { clock },
    { dataDirectory, checkout: CHECKOUT, nodePath: process.execPath },
  )
  await using spawner = createLocalSpawner({
    dataDirectory,
    platformUser: host.platformUser,
    accounts: host.accounts,
    clock,
  })
  await using _server = await startSpawnerServer({
    spawner,
    socketPath: join(dataDirectory, 'run', 'spawner.sock'),
    stagingDirectory: dataDirectory,
    socketOwner: host.platformUser,
    log: log.child({ room: 'spawner' }),
  })
  const platform = await keepPlatform({ clock, log }, { config, host, env })
  // Their end here is the end of watching them: what runs then goes on.
  await using traffic = platform.traffic
  await using control = platform.control
  const isReady = await becomeReady(
    { config, isolation: await spawner.isolation() },
    platform,
    requests,
  )
  if (isReady && host.platformUser !== null) removeOldPrograms(dataDirectory, host.program)
  await untilAskedToStop([traffic, control], requests)
  tellLauncher('ending')
  await stopControl(control, requests)
  if (!requests.wantsAll()) return
  say('Stopping traffic and apps …')
  await traffic.stop()
  await endApps(spawner, dataDirectory, config.stopGraceSeconds * 1000)
  say('Nothing of NanoScale runs any more.')
}

async function becomeReady(
  { config, isolation }: { config: Config; isolation: Isolation },
  { traffic, control, wasServing }: Platform,
  requests: StopRequests,
): Promise<boolean> {
  const signal = AbortSignal.any([requests.signal, traffic.gaveUp, control.gaveUp])
  try {
    await waitUntilReady({ clock }, config.dataDirectory, signal)
  } catch (error) {
    if (requests.signal.aborted) return false
    await control.stop()
    // A failed upgrade must not take apps off the air; a failed first start leaves nothing behind.
    if (!wasServing) await traffic.stop()
    throw error
  }
  tellLauncher('ready')
  const setupLink = await readSetupLink(config.dataDirectory)
  const names = { userName: userName(), hostName: hostname() }
  const around = { env: process.env, ...names, isolation, setupLink }
  say(describeStart(config, around))
  return true
}

/** Throws when a process cannot be kept running any more: the launcher then starts us again, with pauses. */
async function untilAskedToStop(
  processes: readonly SupervisedProcess[],
  requests: StopRequests,
): Promise<void> {
  const gaveUp = AbortSignal.any(processes.map((kept) => kept.gaveUp))
  await aborted(AbortSignal.any([requests.signal, gaveUp]))
  if (!requests.signal.aborted) gaveUp.throwIfAborted()
}

async function stopControl(control: SupervisedProcess, requests: StopRequests): Promise<void> {
  say('Stopping the control plane; traffic and apps go on. Ctrl-C again ends them too.')
  await control.stop()
  await requests.settled()
}

function userName(): string {
  const name = process.env['SUDO_USER'] ?? process.env['USER']
  if (name !== undefined) return name
  try {
    return userInfo().username
  } catch {
    // No entry in the user database, as in containers.
    return String(process.getuid?.())
  }
}

/** See `launcher/keep-running.js`. */
function tellLauncher(message: 'ready' | 'ending'): void {
  process.send?.(message)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
