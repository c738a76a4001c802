import { type Clock, toIsoTime } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { RateBudget } from '../github-host.ts'
import type { Received } from './transport.ts'

/** GitHub's advice where it does not say when. */
const UNKNOWN_PAUSE_MS = 60_000
/** A wrong clock or header must not end all work for days. */
const MAX_PAUSE_MS = 3_600_000

export interface RateLimits {
  /** Throws `github.rate_limited` without asking, while GitHub told us to wait. */
  check(key: string): void
  /** Remembers what an answer says; throws `github.rate_limited` when it refuses for a limit. */
  note(key: string, received: Received): void
  budget(key: string): RateBudget | null
}

/** Limits by whose they are (`key`): an installation, a person, an App. */
export function createRateLimits(deps: { clock: Pick<Clock, 'now'> }): RateLimits {
  const blockedUntil = new Map<string, number>()
  const budgets = new Map<string, RateBudget>()
  const check = (key: string) => {
    const leftMs = (blockedUntil.get(key) ?? 0) - deps.clock.now()
    if (leftMs > 0) throw limited(leftMs)
    blockedUntil.delete(key)
  }
  return {
    check,
    note: (key, received) => {
      const budget = readBudget(received)
      if (budget !== null) keep(budgets, key, budget)
      const pauseMs = readPause(received)
      if (pauseMs === null) return
      keep(blockedUntil, key, deps.clock.now() + pauseMs)
      throw limited(pauseMs)
    },
    budget: (key) => budgets.get(key) ?? null,
  }
}

/** People come and go: what was not written for longest is forgotten. */
const MAX_KEYS = 10_000

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= MAX_KEYS) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}

function readBudget({ status, header }: Received): RateBudget | null {
  // Whoever is not known has the limit of strangers.
  if (status === 401) return null
  const resource = header('x-ratelimit-resource')
  if (resource !== null && resource !== 'core') return null
  const limit = readNumber(header('x-ratelimit-limit'))
  const remaining = readNumber(header('x-ratelimit-remaining'))
  const reset = readNumber(header('x-ratelimit-reset'))
  if (limit === null || remaining === null || reset === null) return null
  return { limit, remaining, resetAt: toIsoTime(reset * 1000) }
}

/** How long to wait; null when the answer is not about limits. */
function readPause({ status, header, text, receivedAt }: Received): number | null {
  if (status !== 403 && status !== 429) return null
  const retryAfter = readNumber(header('retry-after'))
  if (retryAfter !== null) return clamp(retryAfter * 1000)
  const reset = readNumber(header('x-ratelimit-reset'))
  if (header('x-ratelimit-remaining') === '0' && reset !== null) {
    // By GitHub's clock, when it tells: ours may be wrong.
    const now = Date.parse(header('date') ?? '')
    return clamp(reset * 1000 - (Number.isNaN(now) ? receivedAt : now))
  }
  return status === 429 || /rate limit/i.test(text) ? UNKNOWN_PAUSE_MS : null
}

function clamp(ms: number): number {
  return Math.min(Math.max(ms, 1000), MAX_PAUSE_MS)
}

function readNumber(text: string | null): number | null {
  return text !== null && /^\d{1,12}$/.test(text) ? Number(text) : null
}

function limited(pauseMs: number): OperationError {
  const retryAfterSeconds = Math.ceil(pauseMs / 1000)
  const sentence = `Cannot ask GitHub: its rate limit is used up for another ${retryAfterSeconds} s`
  return new OperationError('github.rate_limited', sentence, { retryAfterSeconds })
}
