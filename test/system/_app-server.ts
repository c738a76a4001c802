/** The app of the system tests: no dependencies, answers its version, ends in order. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Handler = (exchange: {
  request: IncomingMessage
  response: ServerResponse
  url: URL
}) => unknown

const version = readFileSync('version.txt', 'utf8')
const sockets = new Set<Socket>()

const handlers = new Map<string, Handler>([
  ['/', ({ response }) => response.end(version)],
  ['/health', ({ response }) => response.end('ok')],
  ['/env', ({ response }) => response.end(JSON.stringify(process.env))],
  ['/headers', ({ request, response }) => response.end(JSON.stringify(request.headers))],
  ['/data', ({ response }) => response.end(released())],
  ['/crash', ({ response }) => response.end('bye', () => process.exit(1))],
  ['/slow-upload', ({ request, response }) => countBytes(request, response)],
  ['/stream', ({ response, url }) => stream(response, Number(url.searchParams.get('ms')))],
])

/** What the release command of `NOTING_RELEASE` has noted. */
function released(): string {
  const file = `${process.env['DATA_DIR']}/released.txt`
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

function countBytes(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  request.on('end', () => response.end(String(bytes)))
}

function stream(response: ServerResponse, ms: number): void {
  const until = Date.now() + ms
  const timer = setInterval(() => {
    if (Date.now() < until) {
      response.write('line\n')
    } else {
      clearInterval(timer)
      response.end('end\n')
    }
  }, 100)
  response.on('close', () => clearInterval(timer))
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://app')
  const handler = handlers.get(url.pathname)
  if (handler === undefined) response.writeHead(404).end('nothing here')
  else handler({ request, response, url })
})

// WebSocket echo of short messages, each in one frame (RFC 6455).
server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
  socket.on('error', () => {})
  let buffered: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    buffered = echoFrames(socket, Buffer.concat([buffered, chunk]))
  })
})

/** Answers every whole frame with its own payload, and returns what is left of the last one. */
function echoFrames(socket: Socket, received: Buffer): Buffer {
  let rest = received
  while (rest.length >= 6) {
    const length = rest.readUInt8(1) & 127
    const end = 6 + length
    if (length > 125 || rest.length < end) break
    const opcode = rest.readUInt8(0) & 15
    const mask = rest.subarray(2, 6)
    const payload = rest.subarray(6, end).map((byte, at) => byte ^ mask.readUInt8(at % 4))
    rest = rest.subarray(end)
    socket.write(
      Buffer.concat([Buffer.from([128 | (opcode === 9 ? 10 : opcode), length]), payload]),
    )
    if (opcode === 8) socket.end()
  }
  return rest
}

server.listen(Number(process.env['PORT']), process.env['HOST'] ?? '127.0.0.1', () => {
  console.log(`version ${version} listens`)
})

process.on('SIGTERM', () => {
  console.log(`version ${version} ends`)
  server.close(() => process.exit(0))
  // A close frame with 1001, going away.
  for (const socket of sockets) socket.end(Buffer.from([136, 2, 3, 233]))
  setTimeout(() => process.exit(0), 1500).unref()
})
