const BACK_OFF_MS = [0, 1000, 2000, 5000, 10_000]
/** Still tried: what made it crash may pass. */
const CRASH_LOOP_PAUSE_MS = 60_000
/** One that ran so long before it crashed begins anew. */
const SETTLED_AFTER_MS = 60_000

export interface Restart {
  state: 'crashed' | 'crash_loop'
  /** Starts after a crash in a row, the one that is decided on included. */
  restarts: number
  delayMs: number
}

/** When a crashed instance is started again: at once, then less and less often. */
export function planRestart(facts: { restarts: number; ranMs: number }): Restart {
  const before = facts.ranMs >= SETTLED_AFTER_MS ? 0 : facts.restarts
  const delayMs = BACK_OFF_MS[before]
  return delayMs === undefined
    ? { state: 'crash_loop', restarts: before + 1, delayMs: CRASH_LOOP_PAUSE_MS }
    : { state: 'crashed', restarts: before + 1, delayMs }
}
