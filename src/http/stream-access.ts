import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'

/** Streams look again whether their reader may still read, so that they end within 30 s of its loss. */
const CONFIRM_EVERY_MS = 15_000
const MAX_STREAMS = 20

/** Counts the streams that are open. */
export interface StreamSlots {
  /** Takes one of the asker's; the answer gives it back, once. Throws `http.too_many_streams`. */
  take(asker: string): () => void
}

export function createStreamSlots(max: number = MAX_STREAMS): StreamSlots {
  const open = new Map<string, number>()
  return {
    take: (asker) => {
      const count = open.get(asker) ?? 0
      if (count >= max) {
        throw new OperationError(
          'http.too_many_streams',
          `Cannot open another stream: ${max} are open, close one`,
          { retryAfterSeconds: CONFIRM_EVERY_MS / 1000 },
        )
      }
      open.set(asker, count + 1)
      let taken = true
      return () => {
        if (!taken) return
        taken = false
        const left = (open.get(asker) ?? 1) - 1
        if (left === 0) open.delete(asker)
        else open.set(asker, left)
      }
    },
  }
}

/**
 * A signal that aborts, with the reason, when `confirm` throws. It asks every 15 s until `signal` aborts. Whether the
 * reader may read cannot be found out is a reason too.
 */
export function watchAccess(
  clock: Clock,
  confirm: () => Promise<void>,
  signal: AbortSignal,
): AbortSignal {
  const lost = new AbortController()
  const watch = async () => {
    while (!signal.aborted) {
      await clock.sleep(CONFIRM_EVERY_MS, signal)
      await confirm()
    }
  }
  watch().catch((error: unknown) => {
    if (!signal.aborted) lost.abort(error)
  })
  return lost.signal
}
