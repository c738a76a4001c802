import { chmod, lstat, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { join } from 'node:path'

import { getRequestListener } from '@hono/node-server'

import { OperationError, systemErrorCode } from '../lib/errors.ts'
import type { HookName } from '../webhooks/find-hook.ts'
import { buildApi } from './build-api.ts'
import { createClientAddress, networkOf } from './client-address.ts'
import type { Api, Channel } from './create-api.ts'
import type { HttpApp } from './http-app.ts'

export interface HttpServers extends AsyncDisposable {
  /** The port of the TCP listener; the configured one unless that was 0. */
  port: number
  operatorSocket: string
}

/** Of the address and all headers together; what is longer is answered with 431. */
const MAX_HEADER_BYTES = 16_384

/** Requests that are under way when the server stops have this long. */
const DRAIN_MS = 5000

/** Where the operator's socket is in a data directory. */
export function operatorSocketPath(dataDirectory: string): string {
  return join(dataDirectory, 'run', 'operator.sock')
}

/**
 * Serves the API on the configured address and, for the operator of this machine, on a Unix socket that only the
 * platform's own user may open. Disposing ends streams with a hint to come back, then the rest.
 */
export async function createHttpServers(app: HttpApp): Promise<HttpServers> {
  const stopping = new AbortController()
  const api = buildApi(app, stopping.signal)
  const socket = operatorSocketPath(app.config.dataDirectory)
  const operator = serverOf(listenerOf(api, 'operator'))
  const network = serverOf(beforeApi(app, listenerOf(api, 'network')))
  await removeStaleSocket(socket)
  await listen(operator, { path: socket }, `socket ${socket}`)
  // The directory is private already; this is for a directory that somebody opened up.
  await chmod(socket, 0o600)
  const { bind, port } = app.config
  try {
    await listen(network, { host: bind, port }, `${bind}:${port}`)
  } catch (error) {
    await close(operator)
    throw error
  }
  const address = network.address() as AddressInfo
  return {
    port: address.port,
    operatorSocket: socket,
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await Promise.all([close(operator), close(network)])
    },
  }
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

function listenerOf(api: Api, channel: Channel): Listener {
  const listener = getRequestListener((request, { incoming }) =>
    api.fetch(request, { channel, address: incoming.socket.remoteAddress ?? null }),
  )
  return (request, response) => void listener(request, response)
}

/** Deliveries of Git hosts do not pass the API: their bodies are large, and proved by a signature alone. */
function beforeApi({ config, webhooks }: HttpApp, api: Listener): Listener {
  const clientAddress = createClientAddress(config.trustedProxies)
  return (request, response) => {
    const hook = hookOf(request.url ?? '')
    if (hook === null) return api(request, response)
    const forwardedFor = request.headers['x-forwarded-for']
    const chain = Array.isArray(forwardedFor) ? forwardedFor.join(',') : (forwardedFor ?? null)
    const address = clientAddress(request.socket.remoteAddress ?? null, chain)
    void webhooks.receive(request, response, { hook, network: networkOf(address ?? '') })
  }
}

const HOOK_PATH = /^\/hooks\/([^/]+)\/?$/

/** The hook that an address names; null when it is the API's. */
function hookOf(url: string): HookName | null {
  const [path = ''] = url.split('?')
  if (path === '/api/integrations/github/webhook') return 'environment'
  const publicId = HOOK_PATH.exec(path)?.[1]
  return publicId === undefined ? null : { publicId }
}

function serverOf(listener: Listener): Server {
  const options = {
    maxHeaderSize: MAX_HEADER_BYTES,
    // How often deadlines are looked at; by default only each half minute.
    connectionsCheckingInterval: 2000,
  }
  const server = createServer(options, listener)
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  server.keepAliveTimeout = 5000
  server.maxRequestsPerSocket = 10_000
  server.maxConnections = 1000
  return server
}

async function listen(server: Server, where: ListenOptions, name: string): Promise<void> {
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  server.listen(where, listening.resolve)
  try {
    await listening.promise
  } catch (error) {
    const inUse = systemErrorCode(error) === 'EADDRINUSE'
    const why = inUse ? 'another program listens there' : systemErrorCode(error)
    throw new OperationError('http.failed_to_listen', `Cannot listen on ${name}: ${why}`, {
      cause: error,
    })
  } finally {
    server.off('error', listening.reject)
  }
}

/** A socket of a process that was killed; who starts holds the lock of the data directory, so it is nobody's. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (found?.isSocket() === true) await rm(path, { force: true })
}

async function close(server: Server): Promise<void> {
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  // A connection whose stream ends now would be kept for a next request that we do not take.
  const sweep = setInterval(() => server.closeIdleConnections(), 50)
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  try {
    await closed.promise
  } finally {
    clearInterval(sweep)
    clearTimeout(timer)
  }
}
