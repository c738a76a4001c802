import { createHash } from 'node:crypto'
import { join } from 'node:path'

import type { Config } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import { type Logger, silentLogger } from '../lib/logger.ts'
import { isSameProcessAlive } from '../lib/process-identity.ts'
import { superviseProcess, type SupervisedProcess } from '../spawner/platform-processes.ts'
import { openPlatformState } from '../spawner/platform-state.ts'
import type { PreparedHost } from '../spawner/prepare-host.ts'
import { connectTraffic } from '../traffic/traffic-client.ts'
import { describeProcesses, type PlatformProcess } from './process-specs.ts'

const READY_TIMEOUT_MS = 15_000
/** The control plane ends itself after 10 s. */
const CONTROL_STOP_MS = 15_000
/** What traffic needs beyond its drain. */
const TRAFFIC_MARGIN_MS = 5000

export interface Platform {
  traffic: SupervisedProcess
  control: SupervisedProcess
  /** An earlier foreground process left traffic running: visitors depend on it whatever becomes of this start. */
  wasServing: boolean
}

/** Keeps the traffic process and the control plane running: apps answer first, from the table on disk. */
export async function keepPlatform(
  deps: { clock: Clock; log: Logger },
  options: {
    config: Pick<Config, 'dataDirectory' | 'drainSeconds'>
    host: PreparedHost
    env: Readonly<Record<string, string | undefined>>
  },
): Promise<Platform> {
  const { host, config } = options
  const { dataDirectory } = config
  const processes = describeProcesses({
    dataDirectory,
    program: host.program,
    isCopy: host.platformUser !== null,
    nodePath: process.execPath,
    env: options.env,
  })
  const state = openPlatformState(join(dataDirectory, 'run', 'platform.json'))
  const earlier = state.read('traffic')
  const wasServing = earlier !== null && isSameProcessAlive(earlier)
  const specOf = (platformProcess: PlatformProcess) => ({
    ...platformProcess,
    user: host.platformUser,
    programHash: fingerprintOf(platformProcess),
    readyTimeoutMs: READY_TIMEOUT_MS,
  })
  const traffic = await superviseProcess(
    { ...deps, state },
    {
      ...specOf(processes.traffic),
      replacement: 'overlap',
      isReady: (pid) => answersAs(pid, deps.clock, join(dataDirectory, 'run', 'traffic.sock')),
      stopGraceMs: config.drainSeconds * 1000 + TRAFFIC_MARGIN_MS,
    },
  )
  const control = await superviseProcess(
    { ...deps, state },
    {
      ...specOf(processes.control),
      replacement: 'in_turn',
      // Nothing of the old one is left when a new one starts, so nothing has to be told apart.
      isReady: () => Promise.resolve(true),
      stopGraceMs: CONTROL_STOP_MS,
    },
  )
  return { traffic, control, wasServing }
}

/** A process of another command or other settings is replaced, not adopted. */
function fingerprintOf({ argv, env }: PlatformProcess): string {
  return createHash('sha256')
    .update(JSON.stringify([argv, env]))
    .digest('hex')
}

/** Whether that very process is at the socket, where it is only once it serves. */
async function answersAs(pid: number, clock: Clock, socketPath: string): Promise<boolean> {
  // A new connection each time: an open one stays with the process that accepted it.
  await using client = connectTraffic(socketPath, { clock, log: silentLogger })
  return (await client.stats()).pid === pid
}
