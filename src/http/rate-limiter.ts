import type { Clock } from '../lib/clock.ts'

/** A token bucket for each key. */
export interface RateLimiter {
  /** Takes one; else gives the seconds until there is one again. */
  take(key: string): { kind: 'taken' } | { kind: 'empty'; retryAfterSeconds: number }
}

const MINUTE_MS = 60_000
const MAX_KEYS = 20_000

interface Bucket {
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
  // In the order of their last use.
  const buckets = new Map<string, Bucket>()
  return {
    take: (key) => {
      const now = clock.now()
      const bucket = buckets.get(key) ?? { left: perMinute, at: now }
      const since = Math.max(0, now - bucket.at)
      const left = Math.min(perMinute, bucket.left + (since / MINUTE_MS) * perMinute)
      buckets.delete(key)
      buckets.set(key, { left: left >= 1 ? left - 1 : left, at: now })
      const [oldest] = buckets.keys()
      if (buckets.size > maxKeys && oldest !== undefined) buckets.delete(oldest)
      if (left >= 1) return { kind: 'taken' }
      const retryAfterSeconds = Math.ceil(((1 - left) / perMinute) * 60)
      return { kind: 'empty', retryAfterSeconds: Math.max(1, retryAfterSeconds) }
    },
  }
}
