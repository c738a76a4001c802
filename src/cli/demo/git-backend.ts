import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Path of the program `git-http-backend`. */
  backend: string
  /** Holds the bare repositories. */
  directory: string
  /** Of the program; nothing of ours is inherited. */
  env: Readonly<Record<string, string>>
  /** The answer's body, and the connection, end after so many bytes. */
  maxBytes?: number
}

/** Answers one request of a Git client by `git http-backend`, as the CGI program that it is (RFC 3875). */
export function serveGit(exchange: Exchange): void {
  const { request, response, backend, directory, env, maxBytes = Infinity } = exchange
  const url = new URL(request.url ?? '/', 'http://host')
  const child = spawn(backend, [], {
    env: {
      ...env,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.once('error', () => response.destroy())
  child.stdin.on('error', () => {})
  request.on('error', () => {})
  request.pipe(child.stdin)
  let head: Buffer | null = Buffer.alloc(0)
  let sent = 0
  const send = (chunk: Buffer) => {
    const part = chunk.subarray(0, Math.max(0, maxBytes - sent))
    sent += part.length
    response.write(part, () => {
      if (sent >= maxBytes) request.socket.destroy()
    })
  }
  child.stdout.on('data', (chunk: Buffer) => {
    if (head === null) return send(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    writeHead(response, head.subarray(0, end).toString('latin1'))
    const rest = head.subarray(end + 4)
    head = null
    if (rest.length > 0) send(rest)
  })
  child.once('close', () => response.end())
  response.once('close', () => child.kill())
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (name === 'status') status = Number.parseInt(value, 10)
    else response.setHeader(name, value)
  }
  response.writeHead(status)
}
