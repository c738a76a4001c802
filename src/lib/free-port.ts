import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

import { OperationError } from './errors.ts'

/** Below the range that the kernel takes for outgoing connections (32768 and up by default). */
const FIRST_PORT = 20_000
const LAST_PORT = 32_767
const ATTEMPTS = 100

/**
 * A TCP port of 20000–32767 on which nothing listens at 127.0.0.1 now and which is not `isTaken`: given out, and not yet
 * listened on. Somebody may take it before the caller's app does: whoever routes to it asks who owns it first. Throws
 * `port.none_free`.
 */
export async function chooseFreePort(
  options: { isTaken?: (port: number) => boolean; choose?: () => number } = {},
): Promise<number> {
  const { isTaken = () => false, choose = () => randomInt(FIRST_PORT, LAST_PORT + 1) } = options
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = choose()
    if (!isTaken(port) && (await isFree(port))) return port
  }
  throw new OperationError(
    'port.none_free',
    `Cannot choose a port between ${FIRST_PORT} and ${LAST_PORT}: ${ATTEMPTS} attempts were all in use`,
  )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}
