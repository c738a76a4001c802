import { request as httpRequest, STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { APP_UNREACHABLE, renderProblem, type Problem } from './error-page.ts'
import { clientHeaders, upstreamHeaders, type RawHeaders } from './forwarded-headers.ts'
import type { InFlight, LongConnection } from './in-flight.ts'
import type { Metrics } from './metrics.ts'
import type { ProxyDeps } from './proxy-request.ts'
import type { InstanceTarget } from './upstreams.ts'
import { createFrameBoundary, GOING_AWAY_FRAME } from './websocket-frames.ts'

export type UpgradeDeps = Omit<ProxyDeps, 'findTarget' | 'bodyIdleMs'> & {
  inFlight: InFlight
  metrics: Metrics
  /** How long the app may take to agree to the upgrade. */
  upgradeMs: number
}

/**
 * Passes an upgrade on. Only when the app agreed (101) are the two sockets joined: an app that refuses would otherwise
 * give the client a connection past the routing and past the headers that we vouch for.
 */
export async function proxyUpgrade(
  deps: UpgradeDeps,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  target: InstanceTarget,
): Promise<void> {
  const connection: LongConnection = { close: () => client.destroy() }
  const leave = deps.inFlight.enter(target.instanceId, connection)
  client.once('close', leave)
  try {
    const answer = await askForUpgrade(deps, request, target)
    if (client.destroyed) {
      answer.upstream.destroy()
      return
    }
    deps.metrics.countAnswer(answer.response.statusCode ?? 502)
    client.write(responseHead(answer.response, answer.kind === 'upgraded'))
    if (answer.kind === 'refused') {
      answer.response.pipe(client)
      answer.response.once('error', () => client.destroy())
      return
    }
    connection.close = join(client, answer.upstream, head, answer.head, isWebSocket(request))
  } catch (error) {
    deps.reportUpstreamError(target, error)
    refuseUpgrade(request, client, APP_UNREACHABLE)
  }
}

/** Answers an upgrade with an ordinary page and ends the connection. */
export function refuseUpgrade(request: IncomingMessage, client: Duplex, problem: Problem): void {
  if (client.destroyed) return
  const { headers, body } = renderProblem(request, problem)
  const lines = Object.entries({ ...headers, Connection: 'close' })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  client.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}\r\n${head}\r\n${body}`,
  )
}

type UpgradeAnswer =
  | { kind: 'upgraded'; response: IncomingMessage; upstream: Duplex; head: Buffer }
  | { kind: 'refused'; response: IncomingMessage; upstream: Duplex }

async function askForUpgrade(
  deps: UpgradeDeps,
  request: IncomingMessage,
  target: InstanceTarget,
): Promise<UpgradeAnswer> {
  const upstream = await deps.upstreams.connect(target)
  const headers = upstreamHeaders(request, deps.trusts)
  headers.push('Connection', 'Upgrade', 'Upgrade', request.headers.upgrade ?? '')
  return await new Promise((resolve, reject) => {
    const upgrade = httpRequest({
      createConnection: () => upstream,
      method: 'GET',
      path: request.url ?? '/',
      headers,
      setHost: false,
    })
    const timer = setTimeout(() => {
      upgrade.destroy(new Error(`The app did not answer within ${deps.upgradeMs / 1000} s`))
    }, deps.upgradeMs)
    upgrade.once('close', () => clearTimeout(timer))
    upgrade.once('upgrade', (response, socket, head) => {
      clearTimeout(timer)
      resolve({ kind: 'upgraded', response, upstream: socket, head })
    })
    upgrade.once('response', (response) => {
      clearTimeout(timer)
      resolve({ kind: 'refused', response, upstream })
    })
    upgrade.once('error', reject)
    upgrade.end()
  })
}

function responseHead(response: IncomingMessage, upgraded: boolean): Buffer {
  const headers: RawHeaders = clientHeaders(response.rawHeaders)
  if (upgraded) headers.push('Connection', 'Upgrade', 'Upgrade', response.headers.upgrade ?? '')
  else headers.push('Connection', 'close')
  let text = `HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ''}\r\n`
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** Joins two sockets until either ends. Returns how to say goodbye to the client: close frame 1001, then the end. */
function join(
  client: Duplex,
  upstream: Duplex,
  clientHead: Buffer,
  upstreamHead: Buffer,
  webSocket: boolean,
): () => void {
  const boundary = createFrameBoundary()
  if (webSocket) {
    boundary.push(upstreamHead)
    upstream.on('data', (chunk: Buffer) => boundary.push(chunk))
  }
  if (upstreamHead.length > 0) client.write(upstreamHead)
  if (clientHead.length > 0) upstream.write(clientHead)
  client.pipe(upstream)
  upstream.pipe(client)
  const endBoth = () => {
    client.destroy()
    upstream.destroy()
  }
  for (const socket of [client, upstream]) {
    socket.once('error', endBoth)
    socket.once('close', endBoth)
    if ('setKeepAlive' in socket) (socket as Socket).setKeepAlive(true, 60_000)
  }
  return () => {
    if (!webSocket) return endBoth()
    const sayGoodbye = () => {
      if (!boundary.isBetweenFrames()) return
      upstream.off('data', sayGoodbye)
      upstream.unpipe(client)
      upstream.resume()
      // The client's own close frame still reaches the app, which so learns of the end in an orderly way.
      client.write(GOING_AWAY_FRAME)
      setTimeout(endBoth, 1000).unref()
    }
    upstream.on('data', sayGoodbye)
    sayGoodbye()
  }
}
