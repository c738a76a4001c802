import type { Clock } from '../../lib/clock.ts'
import type { Secret } from '../../lib/secret.ts'

/** What leaves us is searched for these by value. */
export interface TokenRedactor {
  add(value: Secret): void
  remove(value: Secret): void
}

export interface TokenMemory {
  /** `expiresAtMs`: by our clock; null for one that is good until it is revoked. */
  keep(token: Secret, expiresAtMs: number | null): void
}

/** For a replayed log, and for clocks that differ. */
const AFTER_MS = 3_600_000
const SWEEP_MS = 600_000

/** Lets the redactor know tokens as long as they are good: there is a new one for each repository and hour. */
export function createTokenMemory(deps: {
  clock: Pick<Clock, 'now'>
  redactor: TokenRedactor
}): TokenMemory {
  const until = new Map<string, { token: Secret; ms: number }>()
  let sweptAt = deps.clock.now()
  const sweep = (now: number) => {
    if (now - sweptAt < SWEEP_MS) return
    sweptAt = now
    for (const [value, { token, ms }] of until) {
      if (ms > now) continue
      until.delete(value)
      deps.redactor.remove(token)
    }
  }
  return {
    keep: (token, expiresAtMs) => {
      const now = deps.clock.now()
      sweep(now)
      const value = token.reveal()
      if (!until.has(value)) deps.redactor.add(token)
      until.set(value, { token, ms: expiresAtMs === null ? Infinity : expiresAtMs + AFTER_MS })
    },
  }
}
