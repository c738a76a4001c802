import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

import { errorBody } from '../contract/common.ts'
import type { RouteDefinition, RouteOutput, RouteRequest } from '../contract/route.ts'
import { ROUTES, type RouteId, type Routes } from '../contract/routes.ts'
import { systemErrorCode } from '../lib/errors.ts'
import { CliError } from './cli-error.ts'
import type { Connection } from './connection.ts'
import { parseEvents, type ServerEvent } from './parse-events.ts'

/** Fields of a request; those that a route does not have may be left out. */
type Sent<Id extends RouteId> = {
  [
    Field in keyof RouteRequest<Routes[Id]> as RouteRequest<Routes[Id]>[Field] extends undefined
      ? never
      : Field
  ]: RouteRequest<Routes[Id]>[Field]
}

export interface ApiClient {
  /** Calls a route. Throws a `CliError` with the server's own sentence, or with how to reach the server. */
  call<Id extends RouteId>(id: Id, input: Sent<Id>): Promise<RouteOutput<Routes[Id]>>
  /** Reads a stream of events until it ends. */
  stream<Id extends RouteId>(
    id: Id,
    input: Sent<Id>,
    options?: { lastEventId?: string | undefined },
  ): AsyncGenerator<ServerEvent>
  /** Reads an answer of lines until it ends. Throws when it breaks off. */
  lines<Id extends RouteId>(id: Id, input: Sent<Id>): AsyncGenerator<string>
}

interface AnyInput {
  params?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, string | number | undefined>>
  body?: unknown
}

/** A call answers within this, creation of a project with its look at the Git host included. */
const TIMEOUT_MS = 70_000

export function createApiClient(connection: Connection): ApiClient {
  return {
    call: async (id, input) => {
      const answer = await send(connection, ROUTES[id], input, {}, TIMEOUT_MS)
      const body = await text(answer)
      if (!isSuccess(answer)) throw failureOf(answer, body)
      return (
        typeof ROUTES[id].response === 'string' || body === '' ? undefined : JSON.parse(body)
      ) as never
    },
    stream: async function* stream(id, input, options = {}) {
      const headers: Record<string, string> = { accept: 'text/event-stream' }
      if (options.lastEventId !== undefined) headers['last-event-id'] = options.lastEventId
      const answer = await send(connection, ROUTES[id], input, headers, 0)
      if (!isSuccess(answer)) throw failureOf(answer, await text(answer))
      yield* parseEvents(answer)
    },
    lines: async function* lines(id, input) {
      const answer = await send(connection, ROUTES[id], input, {}, 0)
      if (!isSuccess(answer)) throw failureOf(answer, await text(answer))
      try {
        yield* createInterface({ input: answer, crlfDelay: Infinity })
      } catch {
        // What is wrong is told below.
      }
      if (answer.complete) return
      throw new CliError(1, 'The answer broke off: what came is not all', 'Run it again')
    },
  }
}

async function send(
  connection: Connection,
  route: RouteDefinition,
  input: AnyInput,
  headers: Record<string, string>,
  timeout: number,
): Promise<IncomingMessage> {
  const body = input.body === undefined ? undefined : JSON.stringify(input.body)
  const options: RequestOptions = {
    method: route.method,
    path: pathOf(connection, route, input),
    headers: {
      accept: 'application/json',
      ...headers,
      ...identityHeaders(connection),
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    },
    timeout,
    // A kept connection may have been closed by a server that restarted meanwhile.
    agent: false,
  }
  const answered = Promise.withResolvers<IncomingMessage>()
  const request =
    connection.kind === 'operator'
      ? httpRequest({ ...options, socketPath: connection.socket })
      : requestOf(connection.url)(connection.url, options)
  request.once('response', answered.resolve)
  request.once('timeout', () => request.destroy(new Error('it did not answer in time')))
  request.once('error', (error) => answered.reject(unreachable(connection, error)))
  request.end(body)
  return await answered.promise
}

function requestOf(url: URL) {
  return url.protocol === 'https:' ? httpsRequest : httpRequest
}

function identityHeaders(connection: Connection): Record<string, string> {
  if (connection.kind === 'network') return { authorization: `Bearer ${connection.token}` }
  const { organization } = connection
  return organization === null ? {} : { 'x-nanoscale-organization': organization }
}

function pathOf(connection: Connection, route: RouteDefinition, input: AnyInput): string {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(input.params?.[name] ?? ''),
  )
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined) query.set(name, String(value))
  }
  const base = connection.kind === 'network' ? connection.url.pathname.replace(/\/$/, '') : ''
  return `${base}${path}${query.size === 0 ? '' : `?${query.toString()}`}`
}

function isSuccess(answer: IncomingMessage): boolean {
  const status = answer.statusCode ?? 0
  return status >= 200 && status < 300
}

function failureOf(answer: IncomingMessage, body: string): CliError {
  const status = answer.statusCode ?? 0
  const parsed = errorBody.safeParse(parseJson(body))
  if (!parsed.success) {
    const fix = 'Is the URL that of NanoScale? It answers at /healthz'
    return new CliError(3, `Cannot understand the answer: it has status ${status}`, fix)
  }
  const { error, details, request_id } = parsed.data
  const fields = Object.entries(details ?? {}).map(([field, why]) => `${field}: ${why.join(', ')}`)
  const known = fields.filter((field) => !error.includes(field.slice(field.indexOf(':') + 2)))
  const lines = [error, ...known.map((field) => `  ${field}`)]
  if (request_id !== undefined) lines.push(`  request ${request_id}`)
  const fix = status === 401 ? 'Check NANOSCALE_TOKEN: it may be expired or revoked' : undefined
  return new CliError(status === 422 || status === 400 ? 2 : 1, lines.join('\n'), fix)
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function unreachable(connection: Connection, error: Error): CliError {
  const code = systemErrorCode(error)
  if (connection.kind === 'network') {
    return new CliError(
      3,
      `Cannot reach ${connection.url.origin}: ${code ?? error.message}`,
      'Check the URL and that NanoScale runs there',
    )
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new CliError(
      3,
      'Cannot open the socket of NanoScale: it runs as another user',
      'Run the command as that user or with sudo, or set NANOSCALE_URL and NANOSCALE_TOKEN',
    )
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') {
    return new CliError(
      3,
      'NanoScale does not run here: start it with ./nanoscale start',
      'For one on another machine set NANOSCALE_URL and NANOSCALE_TOKEN',
    )
  }
  return new CliError(3, `Cannot reach NanoScale here: ${code ?? error.message}`)
}
