import type { Clock } from '../lib/clock.ts'

/** Lets a loop sleep until it is called or a while has passed. A call while nobody sleeps ends the next sleep at once. */
export interface WakeUps {
  wake(): void
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export function createWakeUps(clock: Clock): WakeUps {
  let isDue = false
  let current: AbortController | null = null
  return {
    wake: () => {
      isDue = true
      current?.abort()
    },
    sleep: async (ms, signal) => {
      if (!isDue) {
        current = new AbortController()
        await clock.sleep(ms, AbortSignal.any([signal, current.signal])).catch(() => {})
        current = null
      }
      isDue = false
    },
  }
}
