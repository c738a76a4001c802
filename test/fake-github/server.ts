import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { ApiError, toErrorAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import type { RequestFault } from './faults.ts'
import { parseGitRequest, serveRepository } from './git-http.ts'
import { now } from './github.ts'
import type { Github } from './github.ts'
import { serveApi } from './serve-api.ts'
import { serveWeb } from './web/serve-web.ts'

const API_PREFIX = '/api/v3'
const MAX_BODY_BYTES = 1024 * 1024
const MAX_LOGGED_REQUESTS = 20_000
const SLOW_TICK_MS = 50

/** The server, and all of its connections, to end them when it stops. */
export function createGithubServer(getGithub: () => Github): {
  server: Server
  sockets: Set<Socket>
} {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    answerRequest(getGithub(), request, response).catch((error: unknown) => {
      console.error(`fake-github: ${request.method} ${request.url}:`, error)
      if (!response.headersSent) response.writeHead(500).end()
      else response.destroy()
    })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return { server, sockets }
}

async function answerRequest(
  github: Github,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url: path = '/' } = request
  const logged = { method, path, headers: request.headers, status: 0 }
  github.requests.push(logged)
  if (github.requests.length > MAX_LOGGED_REQUESTS) github.requests.shift()
  response.once('close', () => (logged.status = response.headersSent ? response.statusCode : 0))
  response.setHeader('date', new Date(now(github)).toUTCString())
  response.setHeader('server', 'fake-github')
  const fault = github.faults.takeRequest(`${method} ${path}`)
  if (fault !== null && (await meetFault(github, fault, request, response)) === 'answered') return
  const url = URL.parse(path, github.webUrl)
  if (url === null) return void response.writeHead(400).end()
  const git = parseGitRequest(url, method)
  if (git !== null) {
    const cut = fault?.kind === 'truncate' ? { maxBytes: fault.bytes } : {}
    return await serveRepository(github, { request, response, url, ...cut }, git)
  }
  const answer = await findAnswer(github, request, url, fault)
  send(response, answer, method === 'HEAD', fault)
}

async function findAnswer(
  github: Github,
  request: IncomingMessage,
  url: URL,
  fault: RequestFault | null,
): Promise<Answer> {
  try {
    const body = await readBody(request)
    const query = url.searchParams
    if (!url.pathname.startsWith(`${API_PREFIX}/`)) {
      return await serveWeb(github, { request, path: url.pathname, query, body })
    }
    const path = url.pathname.slice(API_PREFIX.length)
    return await serveApi(github, { request, path, query, body, fault })
  } catch (error) {
    if (error instanceof ApiError) return toErrorAnswer(error)
    throw error
  }
}

/** A JSON object or a form; anything else that is not empty is refused as GitHub does. */
async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new ApiError(413, 'Payload Too Large')
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  if (text === '') return {}
  if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true) {
    return readForm(text)
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    throw new ApiError(400, 'Problems parsing JSON')
  }
  throw new ApiError(400, 'Body should be a JSON object')
}

/** A field that comes more than once is a list. */
function readForm(text: string): Record<string, unknown> {
  const form = new URLSearchParams(text)
  const names = [...new Set(form.keys())]
  return Object.fromEntries(
    names.map((name) => {
      const values = form.getAll(name)
      return [name, values.length === 1 ? values[0] : values]
    }),
  )
}

/** What is wrong before the question matters. */
async function meetFault(
  github: Github,
  fault: RequestFault,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<'answered' | 'continue'> {
  switch (fault.kind) {
    case 'status':
      request.resume()
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers })
      response.end(fault.body ?? '{"message":"Server Error"}')
      return 'answered'
    case 'redirect':
      request.resume()
      response.writeHead(fault.status ?? 302, { location: fault.location }).end()
      return 'answered'
    case 'reset':
      request.socket.destroy()
      return 'answered'
    case 'hang':
      request.resume()
      return 'answered'
    case 'delay':
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, fault.ms)
        request.socket.once('close', () => {
          clearTimeout(timer)
          resolve()
        })
        if (github.stopping.signal.aborted) resolve()
      })
      break
    case 'primary-rate-limit':
    case 'secondary-rate-limit':
    case 'slow-body':
    case 'truncate':
    case 'wider-token':
    case 'fresh-token-lag':
    case 'stale-refs':
    case 'oauth-error':
      break
  }
  return 'continue'
}

function send(
  response: ServerResponse,
  { status, headers, body }: Answer,
  isHead: boolean,
  fault: RequestFault | null,
): void {
  const text = body === undefined ? '' : 'text' in body ? body.text : JSON.stringify(body.json)
  const bytes = Buffer.from(text)
  const type = body !== undefined && 'text' in body ? body.type : 'application/json; charset=utf-8'
  response.writeHead(status, {
    ...(bytes.length > 0 ? { 'content-type': type, 'content-length': String(bytes.length) } : {}),
    ...headers,
  })
  if (isHead) return void response.end()
  if (fault?.kind === 'truncate') {
    response.write(bytes.subarray(0, fault.bytes), () => response.destroy())
    return
  }
  if (fault?.kind === 'slow-body') return sendSlowly(response, bytes, fault.bytesPerTick)
  response.end(bytes)
}

function sendSlowly(response: ServerResponse, bytes: Buffer, perTick: number): void {
  let sent = 0
  const timer = setInterval(() => {
    if (sent >= bytes.length) {
      clearInterval(timer)
      response.end()
      return
    }
    response.write(bytes.subarray(sent, sent + perTick))
    sent += perTick
  }, SLOW_TICK_MS)
  response.once('close', () => clearInterval(timer))
}
