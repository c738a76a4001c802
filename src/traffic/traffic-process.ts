import { once } from 'node:events'
import { connect, createServer } from 'node:net'

import { messageOf, OperationError, systemErrorCode } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { listeningUid as listeningUidOfHost } from '../lib/socket-owner.ts'
import { startControlServer } from './control-server.ts'
import { readRouteFile, writeRouteFile } from './route-file.ts'
import type { RouteTable } from './route-table.ts'
import { createRoutes } from './routes.ts'
import { createTrafficServer, DEFAULT_LIMITS, type TrafficLimits } from './traffic-server.ts'
import type { InstanceListens, ListeningUid } from './upstreams.ts'

export interface TrafficOptions {
  /** Address and port that visitors reach; port 0 takes a free one. */
  bind: string
  port: number
  /** Addresses and CIDR ranges whose `X-Forwarded-*` headers count. */
  trustedProxies: readonly string[]
  controlSocketPath: string
  routesFile: string
  /** How long requests may take to finish when the process is asked to end. */
  drainMs: number
  log: Logger
  limits?: Partial<TrafficLimits>
  listeningUid?: ListeningUid
  instanceListens?: InstanceListens
}

export interface TrafficProcess {
  port: number
  /** Takes no more connections, finishes what is in flight, then resolves. Calling it again changes nothing. */
  stop(): Promise<void>
}

/** The traffic process from start to end: serves until SIGTERM or SIGINT, then drains and resolves. */
export async function runTrafficProcess(options: TrafficOptions): Promise<void> {
  const traffic = await startTraffic(options)
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
  options.log.info('traffic stopping')
  await traffic.stop()
  options.log.info('traffic stopped')
}

/**
 * Serves the table of the last run at once, then whatever the control plane publishes. Throws `traffic.port_in_use`.
 */
export async function startTraffic(options: TrafficOptions): Promise<TrafficProcess> {
  const { log } = options
  const startedAt = new Date().toISOString()
  const routes = createRoutes()
  const stored = await loadRoutes(options)
  const server = createTrafficServer(
    {
      routes,
      log,
      listeningUid: options.listeningUid ?? listeningUidOfHost,
      instanceListens: options.instanceListens,
    },
    { trustedProxies: options.trustedProxies, limits: { ...DEFAULT_LIMITS, ...options.limits } },
  )
  if (stored !== null) routes.swap(stored)
  const port = await listen(server, options)
  let writing = Promise.resolve()
  const control = await startControlServer(
    {
      log,
      async publish(table) {
        if (!routes.swap(table)) throw staleTable(table, routes.version)
        // One after another: two writers of one temporary file would mix their tables.
        writing = writing.catch(() => {}).then(() => writeRouteFile(options.routesFile, table))
        await writing
      },
      drain: (target, timeoutMs) => server.inFlight.drain(target, timeoutMs),
      stats: () => ({
        pid: process.pid,
        startedAt,
        version: routes.version,
        inFlight: server.inFlight.counts(),
        ...server.metrics.totals(),
      }),
    },
    options.controlSocketPath,
  )
  log.info('traffic listening', { bind: options.bind, port, version: routes.version })
  let stopping: Promise<void> | undefined
  const stop = async () => {
    control.retire()
    await server.close(options.drainMs)
    await writing.catch(() => {})
    await control.close()
  }
  return { port, stop: () => (stopping ??= stop()) }
}

/** A damaged file must not keep the process from starting: the control plane publishes a new table soon. */
async function loadRoutes(options: TrafficOptions): Promise<RouteTable | null> {
  try {
    return await readRouteFile(options.routesFile)
  } catch (error) {
    options.log.error('stored routes not usable', { detail: messageOf(error) })
    return null
  }
}

/**
 * Ports may be shared so that a new process takes over from an old one. With a stranger, such as a second NanoScale of
 * another data directory, it would share visitors: half of them would meet the wrong apps.
 */
async function refuseSharing({ bind, port, controlSocketPath }: TrafficOptions): Promise<void> {
  if (port === 0 || (await hasListener(controlSocketPath))) return
  const probe = createServer()
  const listening = once(probe, 'listening')
  probe.listen({ host: bind, port, exclusive: true })
  await listening
  probe.close()
  await once(probe, 'close')
}

/** True while the process that we replace serves. */
async function hasListener(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function listen(
  server: ReturnType<typeof createTrafficServer>,
  options: TrafficOptions,
): Promise<number> {
  const { bind, port } = options
  try {
    await refuseSharing(options)
    return await server.listen({ host: bind, port })
  } catch (cause) {
    if (systemErrorCode(cause) !== 'EADDRINUSE') throw cause
    throw new OperationError(
      'traffic.port_in_use',
      `Cannot listen on port ${port}: another program does`,
      { cause },
    )
  }
}

function staleTable(table: RouteTable, served: number): OperationError {
  return new OperationError(
    'traffic.stale_table',
    `Cannot serve route table ${table.version}: ${served} is newer`,
  )
}
