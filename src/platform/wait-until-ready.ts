import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import type { Clock } from '../lib/clock.ts'
import { messageOf, OperationError } from '../lib/errors.ts'

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 250
/** A database that is migrated or restored may take its time. */
const DEADLINE_MS = 120_000
const ANSWER_MS = 2000

/**
 * Resolves when the control plane says that it, its worker and the traffic process are ready. Throws `start.not_ready`
 * with the last thing seen; rejects with the signal's reason.
 */
export async function waitUntilReady(
  deps: { clock: Clock },
  dataDirectory: string,
  signal: AbortSignal,
): Promise<void> {
  // Not the port: another program on it may say that it is ready.
  const socketPath = join(dataDirectory, 'run', 'operator.sock')
  const deadline = deps.clock.now() + DEADLINE_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const seen = await ask(socketPath)
    if (seen === 'ready') return
    if (deps.clock.now() > deadline) {
      throw new OperationError(
        'start.not_ready',
        `Cannot finish the start within ${DEADLINE_MS / 1000} s: the control plane says ${seen}`,
      )
    }
    await deps.clock.sleep(pauseMs, signal)
  }
}

function ask(socketPath: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/readyz', timeout: ANSWER_MS, agent: false })
    asked.once('timeout', () => asked.destroy(new Error('it does not answer')))
    asked.once('error', (error) => resolve(error.message))
    asked.once('response', (response) => {
      text(response).then(
        (body) => resolve(response.statusCode === 200 ? 'ready' : `${response.statusCode} ${body}`),
        (error: unknown) => resolve(messageOf(error)),
      )
    })
    asked.end()
  })
}
