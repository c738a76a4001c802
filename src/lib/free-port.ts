import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

import { OperationError } from './errors.ts'

/** Below the range that the kernel takes for outgoing connections (32768 and up by default). */
const FIRST_PORT = 20_000
const LAST_PORT = 32_767
const ATTEMPTS = 100

/**
 * A TCP port of 20000–32767 on which nothing listens at 127.0.0.1 now. Somebody may take it before the caller's app
 * does: whoever routes to it asks `listeningUid` first. Throws `port.none_free`.
 */
export async function chooseFreePort(
  choose: () => number = () => randomInt(FIRST_PORT, LAST_PORT + 1),
): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = choose()
    if (await isFree(port)) return port
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
