import type { Clock } from '../lib/clock.ts'

/** A token bucket for each key. */
export interface RateLimiter {
  /** Takes one; else gives the seconds until there is one again. */
  take(key: string): { kind: 'taken' } | { kind: 'empty'; retryAfterSeconds: number }
}

const MINUTE_MS = 60_000
const MAX_KEYS = 20_000

interface Bucket {
  /** Milliseconds that were not spent. */
  left: number
  at: number
}

/**
 * `perMinute` at once and as many again over each minute. Remembers the keys that were used last; who is forgotten
 * begins with a full bucket.
 */
export function createRateLimiter(
  clock: Clock,
  perMinute: number,
  maxKeys: number = MAX_KEYS,
): RateLimiter {
  const price = MINUTE_MS / perMinute
  // In the order of their last use.
  const buckets = new Map<string, Bucket>()
  return {
    take: (key) => {
      const now = clock.now()
      const bucket = buckets.get(key) ?? { left: MINUTE_MS, at: now }
      const left = Math.min(MINUTE_MS, bucket.left + Math.max(0, now - bucket.at))
      const enough = left >= price
      buckets.delete(key)
      buckets.set(key, { left: enough ? left - price : left, at: now })
      const [oldest] = buckets.keys()
      if (buckets.size > maxKeys && oldest !== undefined) buckets.delete(oldest)
      if (enough) return { kind: 'taken' }
      return { kind: 'empty', retryAfterSeconds: Math.max(1, Math.ceil((price - left) / 1000)) }
    },
  }
}
