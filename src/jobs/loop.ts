import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'

export interface Loop extends AsyncDisposable {
  /** Runs again at once, or once more when it is running. */
  wake(): void
}

/** Runs `work` over and over, never twice at a time, with a pause between. What it throws is logged. */
export function startLoop(
  deps: { clock: Clock; log: Logger },
  options: { name: string; pauseMs: number },
  work: (signal: AbortSignal) => Promise<void>,
): Loop {
  const end = new AbortController()
  let woken = false
  let pause = new AbortController()

  const run = async () => {
    while (!end.signal.aborted) {
      woken = false
      pause = new AbortController()
      try {
        await work(end.signal)
      } catch (error) {
        if (end.signal.aborted) return
        deps.log.error('A loop failed', { loop: options.name, reason: messageOf(error) })
      }
      if (woken) continue
      const either = AbortSignal.any([end.signal, pause.signal])
      await deps.clock.sleep(options.pauseMs, either).catch(() => {})
    }
  }
  const running = run()
  return {
    wake: () => {
      woken = true
      pause.abort()
    },
    [Symbol.asyncDispose]: async () => {
      end.abort(new Error('The platform stops'))
      await running
    },
  }
}
