import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'

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
  address: { bind: string; port: number },
  signal: AbortSignal,
): Promise<void> {
  const url = `http://${reachable(address.bind)}:${address.port}/readyz`
  const deadline = deps.clock.now() + DEADLINE_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const seen = await ask(url)
    if (seen === 'ready') return
    if (deps.clock.now() > deadline) {
      throw new OperationError(
        'start.not_ready',
        `Cannot finish the start within ${DEADLINE_MS / 1000} s: ${url} says ${seen}`,
      )
    }
    await deps.clock.sleep(pauseMs, signal)
  }
}

async function ask(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })
    const text = await response.text()
    return response.ok ? 'ready' : `${response.status} ${text.slice(0, 500)}`
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    return cause instanceof Error ? cause.message : String(error)
  }
}

/** The unspecified address is where it listens, not where it can be reached. */
function reachable(bind: string): string {
  if (bind === '0.0.0.0') return '127.0.0.1'
  if (bind === '::') return '[::1]'
  return bind.includes(':') ? `[${bind}]` : bind
}
