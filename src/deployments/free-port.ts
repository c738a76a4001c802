import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

import { OperationError } from '../lib/errors.ts'

/** Below the ephemeral ports, which outgoing connections take at any time. */
const FIRST_PORT = 20_000
const LAST_PORT = 29_999
const ATTEMPTS = 100

/** A loopback port that nobody listens on now. Whether it stays so is for the health check to find out. */
export async function findFreePort(isTaken: (port: number) => boolean): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1)
    if (!isTaken(port) && (await canListen(port))) return port
  }
  throw new OperationError('runtime.no_free_port', 'Cannot find a free port for the app')
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
