import type { Clock } from '../lib/clock.ts'

/** A clock that stands still until a test moves it, and then wakes whoever slept until then. */
export interface MovableClock extends Clock {
  move(ms: number): void
}

export function createMovableClock(start: number = Date.parse('2026-03-01T12:00:00Z')) {
  let now = start
  const sleepers = new Set<{ until: number; wake: () => void }>()
  const clock: MovableClock = {
    now: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      const woken = Promise.withResolvers<void>()
      const sleeper = { until: now + ms, wake: woken.resolve }
      const onAbort = () => woken.reject(signal?.reason)
      sleepers.add(sleeper)
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        await woken.promise
      } finally {
        sleepers.delete(sleeper)
        signal?.removeEventListener('abort', onAbort)
      }
    },
    move: (ms) => {
      now += ms
      for (const { until, wake } of sleepers) if (until <= now) wake()
    },
  }
  return clock
}
