import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

import { errors, type Dispatcher } from 'undici'

import { isOperationError, systemErrorCode } from '../lib/errors.ts'
import {
  APP_TIMED_OUT,
  APP_UNREACHABLE,
  BAD_REQUEST,
  CLIENT_TOO_SLOW,
  sendProblem,
} from './error-page.ts'
import {
  clientHeaders,
  upstreamHeaders,
  type RawHeaders,
  type TrustsPeer,
} from './forwarded-headers.ts'
import type { ReportUpstreamError } from './report-upstream-error.ts'
import { ClientTooSlow, requestBody } from './request-body.ts'
import type { InstanceTarget, Upstreams } from './upstreams.ts'

export interface ProxyDeps {
  upstreams: Upstreams
  trusts: TrustsPeer
  reportUpstreamError: ReportUpstreamError
  /** Where the request would go if it came now: the app may have been replaced while we tried. */
  findTarget: (request: IncomingMessage) => InstanceTarget | null
  /** True when this process is about to end: clients are told to connect again. */
  isDraining: () => boolean
  bodyIdleMs: number
}

/**
 * Passes a request on to the app and its answer back, streaming both ways. Always answers or ends the connection.
 * Returns what is to be called when the response is closed: an app need not work for a client that left.
 */
export function proxyRequest(
  deps: ProxyDeps,
  request: IncomingMessage,
  response: ServerResponse,
  target: InstanceTarget,
): () => void {
  const body = requestBody(request, deps.bodyIdleMs)
  const headers = upstreamHeaders(request, deps.trusts)
  const exchange = new Exchange(deps, request, response, target, headers, body)
  dispatch(deps, exchange)
  return () => exchange.abandon()
}

function dispatch(deps: ProxyDeps, exchange: Exchange): void {
  const { request, target, headers, body } = exchange
  try {
    deps.upstreams
      .poolOf(target)
      .dispatch(
        { method: request.method ?? 'GET', path: request.url ?? '/', headers, body },
        exchange,
      )
  } catch (error) {
    exchange.fail(error)
  }
}

/** One request on its way. Implements the callbacks of undici, which calls them as the answer arrives. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly deps: ProxyDeps
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly headers: RawHeaders
  readonly body: Readable | null
  target: InstanceTarget
  isRetry = false
  #controller: Dispatcher.DispatchController | undefined
  #onDrain: (() => void) | undefined

  constructor(
    deps: ProxyDeps,
    request: IncomingMessage,
    response: ServerResponse,
    target: InstanceTarget,
    headers: RawHeaders,
    body: Readable | null,
  ) {
    this.deps = deps
    this.request = request
    this.response = response
    this.target = target
    this.headers = headers
    this.body = body
  }

  abandon(): void {
    if (!this.response.writableFinished) this.#controller?.abort(CLIENT_GONE)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.response.destroyed) controller.abort(CLIENT_GONE)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    // 102 and 103 are hints; the answer is still to come.
    if (status < 200) return
    if (this.deps.isDraining()) this.response.shouldKeepAlive = false
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : []
    this.response.writeHead(status, statusMessage ?? '', clientHeaders(raw))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.response.write(chunk)) return
    controller.pause()
    if (this.#onDrain !== undefined) return
    this.#onDrain = () => controller.resume()
    this.response.on('drain', this.#onDrain)
  }

  onResponseEnd(): void {
    this.response.end()
    // The app answered without reading the whole body: what the client still sends is of no use to anybody.
    this.body?.destroy()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.fail(error)
  }

  fail(error: unknown): void {
    if (error === CLIENT_GONE || this.request.socket.destroyed || this.response.destroyed) return
    const next = this.#retryTarget(error)
    if (next !== null) {
      this.isRetry = true
      this.target = next
      setImmediate(dispatch, this.deps, this)
      return
    }
    this.#giveUp(error)
  }

  /** Where to try again, when nothing was answered, nothing can have been done twice and it may help. */
  #retryTarget(error: unknown): InstanceTarget | null {
    if (this.isRetry || this.response.headersSent || this.body !== null) return null
    const now = this.deps.findTarget(this.request)
    if (now === null) return null
    const moved = now.instanceId !== this.target.instanceId || now.port !== this.target.port
    if (neverSent(error)) return moved ? now : null
    // The app closed a kept connection in the moment in which we used it.
    return wasCut(error) && IDEMPOTENT.has(this.request.method ?? '') ? now : null
  }

  #giveUp(error: unknown): void {
    const { deps, target, request, response } = this
    if (this.body?.errored instanceof ClientTooSlow) {
      sendProblem(request, response, CLIENT_TOO_SLOW)
      return
    }
    this.body?.destroy()
    if (request.destroyed && !request.complete) {
      response.destroy()
      return
    }
    if (error instanceof errors.InvalidArgumentError) {
      sendProblem(request, response, BAD_REQUEST)
      return
    }
    deps.reportUpstreamError(target, error)
    const timedOut = error instanceof errors.HeadersTimeoutError
    sendProblem(request, response, timedOut ? APP_TIMED_OUT : APP_UNREACHABLE)
  }
}

const CLIENT_GONE = new Error('The client closed the connection')

/** May be sent twice by the definition of HTTP. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
])

function neverSent(error: unknown): boolean {
  return (
    isOperationError(error, 'traffic.foreign_listener') || systemErrorCode(error) === 'ECONNREFUSED'
  )
}

function wasCut(error: unknown): boolean {
  const code = systemErrorCode(error)
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE'
}
