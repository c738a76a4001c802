import type { Clock } from '../lib/clock.ts'

/** How often who failed to prove themselves in this minute. */
export interface FailedVerifications {
  isExhausted(key: string): boolean
  note(key: string): void
}

const MINUTE_MS = 60_000
const MAX_KEYS = 20_000

/** Remembers the keys that failed last; a forgotten one begins anew. */
export function createFailedVerifications(clock: Clock, perMinute: number): FailedVerifications {
  const failures = new Map<string, { minute: number; amount: number }>()
  const minuteNow = () => Math.floor(clock.now() / MINUTE_MS)
  return {
    isExhausted: (key) => {
      const found = failures.get(key)
      return found !== undefined && found.minute === minuteNow() && found.amount >= perMinute
    },
    note: (key) => {
      const minute = minuteNow()
      const found = failures.get(key)
      const amount = found?.minute === minute ? found.amount + 1 : 1
      failures.delete(key)
      failures.set(key, { minute, amount })
      const [oldest] = failures.keys()
      if (failures.size > MAX_KEYS && oldest !== undefined) failures.delete(oldest)
    },
  }
}
