import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'

import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { BAD_REQUEST, NO_ROUTE, sendProblem, unavailable, type Problem } from './error-page.ts'
import { trustPeers } from './forwarded-headers.ts'
import { hostNameOf } from './host-name.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { proxyRequest, type ProxyDeps } from './proxy-request.ts'
import { proxyUpgrade, refuseUpgrade, type UpgradeDeps } from './proxy-upgrade.ts'
import { createUpstreamErrorReport } from './report-upstream-error.ts'
import type { RouteTarget } from './route-table.ts'
import type { Routes } from './routes.ts'
import { serveStatic } from './static-files.ts'
import { createUpstreams, type InstanceListens, type ListeningUid } from './upstreams.ts'

/** All in milliseconds but the last two. */
export interface TrafficLimits {
  clientHeadMs: number
  clientBodyIdleMs: number
  clientKeepAliveMs: number
  connectMs: number
  appHeadMs: number
  appSilenceMs: number
  upgradeMs: number
  headBytes: number
  connections: number
}

export const DEFAULT_LIMITS: TrafficLimits = {
  clientHeadMs: 10_000,
  clientBodyIdleMs: 60_000,
  clientKeepAliveMs: 65_000,
  connectMs: 5_000,
  appHeadMs: 120_000,
  appSilenceMs: 900_000,
  upgradeMs: 30_000,
  headBytes: 32 * 1024,
  connections: 10_000,
}

export interface TrafficServer {
  inFlight: InFlight
  metrics: Metrics
  /** Resolves with the port. Another process that listens in the same way shares it. */
  listen(address: { host: string; port: number }): Promise<number>
  /** Takes no more connections, lets requests finish for up to `drainMs`, then ends what is left. */
  close(drainMs: number): Promise<void>
}

interface Options {
  trustedProxies: readonly string[]
  limits: TrafficLimits
}

type Deps = {
  routes: Routes
  log: Logger
  listeningUid: ListeningUid
  instanceListens?: InstanceListens | undefined
}

/** The server that faces the internet. It knows routes and nothing else of the platform. */
export function createTrafficServer(deps: Deps, options: Options): TrafficServer {
  const { limits } = options
  const server = createServer({
    headersTimeout: limits.clientHeadMs,
    // A slow upload is no attack: `requestBody` ends one that stands still.
    requestTimeout: 0,
    keepAliveTimeout: limits.clientKeepAliveMs,
    connectionsCheckingInterval: Math.min(5000, limits.clientHeadMs),
    maxHeaderSize: limits.headBytes,
    shouldUpgradeCallback: isUpgrade,
  })
  server.maxConnections = limits.connections
  const upstreams = createUpstreams(deps, {
    connectMs: limits.connectMs,
    headMs: limits.appHeadMs,
    silenceMs: limits.appSilenceMs,
  })
  deps.routes.onSwap((served) => upstreams.retain(served))
  const metrics = createMetrics(server)
  let draining = false
  const context: Context = {
    ...deps,
    upstreams,
    trusts: trustPeers(options.trustedProxies),
    metrics,
    reportUpstreamError: createUpstreamErrorReport({ metrics, log: deps.log }),
    inFlight: createInFlight(),
    isDraining: () => draining,
    findTarget: (request) => instanceNow(deps.routes, request),
    bodyIdleMs: limits.clientBodyIdleMs,
    upgradeMs: limits.upgradeMs,
  }
  addListeners(server, context)
  return {
    inFlight: context.inFlight,
    metrics: context.metrics,
    listen: (address) => listen(server, address),
    async close(drainMs) {
      draining = true
      await closeServer(server, context.inFlight, drainMs)
      await upstreams.close()
    },
  }
}

type Context = ProxyDeps & UpgradeDeps & Deps

function addListeners(server: Server, context: Context): void {
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    handle(context, request, response)
  })
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Asked for only when somebody will read it; else the answer comes at once.
    const target = findTarget(context.routes, request)
    if (target?.kind === 'instance') response.writeContinue()
    handle(context, request, response)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    const problem = problemOf(request)
    const target = problem === null ? findTarget(context.routes, request) : undefined
    if (target?.kind === 'instance') {
      void proxyUpgrade(context, request, socket, head, target)
      return
    }
    refuseUpgrade(request, socket, problem ?? answerWithoutApp(target))
  })
}

function handle(context: Context, request: IncomingMessage, response: ServerResponse): void {
  if (context.isDraining()) response.shouldKeepAlive = false
  const onClose = answer(context, request, response)
  // One listener: each costs a proxied request a percent.
  response.once('close', () => {
    if (response.headersSent) context.metrics.countAnswer(response.statusCode)
    onClose?.()
  })
}

/** Starts the answer. Returns what is to be done when the response is closed. */
function answer(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): (() => void) | undefined {
  const problem = problemOf(request)
  if (problem !== null) {
    sendProblem(request, response, problem)
    return undefined
  }
  const target = findTarget(context.routes, request)
  if (target === undefined || target.kind === 'unavailable') {
    sendProblem(request, response, answerWithoutApp(target))
    return undefined
  }
  if (target.kind === 'instance') {
    const leave = context.inFlight.enter(target.instanceId)
    const abandon = proxyRequest(context, request, response, target)
    return () => {
      leave()
      abandon()
    }
  }
  serveStatic(request, response, target).catch((error: unknown) => {
    const { releaseId } = target
    context.log.error('static file failed', { releaseId, detail: messageOf(error) })
    sendProblem(request, response, unavailable('crashed'))
  })
  return context.inFlight.enter(target.releaseId)
}

function findTarget(routes: Routes, request: IncomingMessage): RouteTarget | undefined {
  const hostname = hostNameOf(request.headers.host)
  return hostname === null ? undefined : routes.find(hostname)
}

function instanceNow(routes: Routes, request: IncomingMessage) {
  const target = findTarget(routes, request)
  return target?.kind === 'instance' ? target : null
}

/** What we and an app could read differently is refused: two hosts, another host in the request line. */
function problemOf(request: IncomingMessage): Problem | null {
  const url = request.url ?? ''
  if (!url.startsWith('/') && !(url === '*' && request.method === 'OPTIONS')) return BAD_REQUEST
  const raw = request.rawHeaders
  let hosts = 0
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.length === 4 && raw[i]?.toLowerCase() === 'host') hosts += 1
  }
  return hosts === 1 ? null : BAD_REQUEST
}

function answerWithoutApp(target: RouteTarget | undefined): Problem {
  if (target?.kind === 'unavailable') return unavailable(target.reason)
  // A static site cannot be upgraded to anything.
  return target === undefined ? NO_ROUTE : BAD_REQUEST
}

/** Upgrades that an app may understand. `h2c` is an offer that may be left; one with a body is two requests in one. */
function isUpgrade(request: IncomingMessage): boolean {
  const { headers } = request
  return (
    request.method === 'GET' &&
    headers.upgrade?.toLowerCase() !== 'h2c' &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  )
}

function listen(server: Server, address: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...address, reusePort: true }, () => {
      server.off('error', reject)
      const bound = server.address()
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port)
    })
  })
}

/** Busy clients learn from `Connection: close` that they must connect again; silent ones are cut off after this. */
const IDLE_GRACE_MS = 1000

async function closeServer(server: Server, inFlight: InFlight, drainMs: number): Promise<void> {
  const deadline = Date.now() + drainMs
  // http's own `close` would cut idle connections at once, some of them with a request on its way.
  const closed = new Promise<void>((resolve) => {
    NetServer.prototype.close.call(server, () => resolve())
  })
  const closedWithin = (ms: number) => {
    const elapsed = new Promise<void>((resolve) => setTimeout(resolve, ms).unref())
    return Promise.race([closed, elapsed])
  }
  await closedWithin(Math.min(IDLE_GRACE_MS, drainMs))
  server.closeIdleConnections()
  await Promise.race([closed, inFlight.drainAll(Math.max(0, deadline - Date.now()))])
  await closedWithin(250)
  server.closeAllConnections()
  await closedWithin(1000)
}
