import type { Clock } from '../lib/clock.ts'
import { judgeInterrupt } from './interrupts.ts'

/** How the foreground process was asked to end. */
export interface StopRequests {
  /** Aborts at the first request. */
  readonly signal: AbortSignal
  /** True as soon as apps and traffic are to end too. */
  wantsAll(): boolean
  /** Resolves at the request for all, or after the time in which a second Ctrl-C would be one. */
  settled(): Promise<void>
}

const SECOND_PRESS_MS = 3000

/**
 * Listens for the ways to end: Ctrl-C and SIGTERM (the control plane), a second Ctrl-C or SIGUSR2, which
 * `nanoscale stop --all` sends (everything), and the death of the launcher.
 */
export function listenForStop(deps: { clock: Clock }): StopRequests {
  const first = new AbortController()
  const all = new AbortController()
  let interruptedAt: number | null = null
  const interrupt = () => {
    const now = deps.clock.now()
    const verdict = judgeInterrupt(interruptedAt, now)
    interruptedAt = now
    if (verdict === 'stop_all') all.abort()
    first.abort()
  }
  const stop = () => first.abort()
  process.on('SIGINT', interrupt)
  for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, stop)
  process.on('SIGUSR2', () => {
    all.abort()
    first.abort()
  })
  // Nobody would start us again: rather end in order than linger.
  process.once('disconnect', stop)
  // Listening for that would keep us alive after everything else has ended.
  process.channel?.unref()
  return {
    signal: first.signal,
    wantsAll: () => all.signal.aborted,
    async settled() {
      // Only a person at a terminal presses twice.
      if (interruptedAt === null || all.signal.aborted) return
      await deps.clock.sleep(SECOND_PRESS_MS, all.signal).catch(() => {})
    },
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
