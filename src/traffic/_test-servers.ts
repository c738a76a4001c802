import { mkdtemp, rm } from 'node:fs/promises'
import {
  createServer,
  request as httpRequest,
  type Agent,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import type { Route, RouteTarget } from './route-table.ts'
import { connectTraffic } from './traffic-client.ts'
import { startTraffic, type TrafficOptions } from './traffic-process.ts'

/** A real app on a port of its own. */
export async function startApp(listener: RequestListener) {
  const server = createServer(listener)
  const port = await listenOnFreePort(server)
  return {
    server,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function listenOnFreePort(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

export async function makeDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'nanoscale-traffic-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export function pathsIn(directory: string) {
  return {
    controlSocketPath: join(directory, 'traffic.sock'),
    routesFile: join(directory, 'traffic', 'routes.json'),
  }
}

/** The traffic process's whole inside, in this process. */
export async function startTestTraffic(directory: string, options: Partial<TrafficOptions> = {}) {
  const traffic = await startTraffic({
    bind: '127.0.0.1',
    port: 0,
    trustedProxies: [],
    drainMs: 2000,
    log: silentLogger,
    listeningUid: async () => null,
    ...pathsIn(directory),
    ...options,
  })
  return { ...traffic, [Symbol.asyncDispose]: () => traffic.stop() }
}

/** The name that `serve` routes. */
export const HOST = 'shop.localhost'

/** A traffic process with one route, and the client that published it. */
export async function serve(target: RouteTarget, options: Partial<TrafficOptions> = {}) {
  const stack = new AsyncDisposableStack()
  const directory = stack.use(await makeDirectory())
  const traffic = stack.use(await startTestTraffic(directory.path, options))
  const client = stack.use(
    connectTraffic(pathsIn(directory.path).controlSocketPath, {
      clock: systemClock,
      log: silentLogger,
    }),
  )
  await client.publish({ version: 1, routes: [route(HOST, target)] })
  return {
    port: traffic.port,
    client,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

export function instance(instanceId: string, port: number, uid: number | null = null): RouteTarget {
  return { kind: 'instance', instanceId, port, uid }
}

export function route(hostname: string, target: RouteTarget): Route {
  return { hostname, projectId: 'project', target }
}

interface Ask {
  method?: string
  headers?: Record<string, string>
  body?: string
  agent?: Agent
}

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

/** Asks `host` at a traffic port. Rejects when the connection fails or the answer is cut. */
export function ask(port: number, host: string, path = '/', options: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        headers: { host, ...options.headers },
        agent: options.agent ?? false,
      },
      (response) => {
        text(response).then(
          (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
          reject,
        )
      },
    )
    request.once('error', reject)
    request.end(options.body)
  })
}

/** Sends bytes as they are, and gives back all that comes until the other side closes. */
export function askRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.once('error', reject)
    text(socket).then(resolve, reject)
  })
}
