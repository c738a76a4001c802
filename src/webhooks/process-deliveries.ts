import { startLoop } from '../jobs/loop.ts'
import { messageOf } from '../lib/errors.ts'
import { claimDeliveries, type ClaimedDelivery } from './claim-deliveries.ts'
import { processDelivery, type ProcessDeps } from './process-delivery.ts'

const PAUSE_MS = 1000
/** Most of the time a delivery waits for its host. */
const AT_ONCE = 16

/** Works on deliveries as they come, several at a time, and on those that a killed process left. */
export function startProcessing(deps: ProcessDeps): AsyncDisposable & { wake(): void } {
  const end = new AbortController()
  const running = new Map<string, Promise<void>>()
  const start = (delivery: ClaimedDelivery) => {
    const work = processDelivery(deps, delivery, end.signal)
      .catch((error: unknown) => {
        // Its lease ends by itself; then somebody tries again.
        deps.log.error('A delivery was left', { id: delivery.id, reason: messageOf(error) })
      })
      .finally(() => {
        running.delete(delivery.id)
        loop.wake()
      })
    running.set(delivery.id, work)
  }
  const loop = startLoop(deps, { name: 'deliveries', pauseMs: PAUSE_MS }, async (signal) => {
    while (!signal.aborted && running.size < AT_ONCE) {
      const free = AT_ONCE - running.size
      const claimed = await claimDeliveries(deps, free)
      for (const delivery of claimed) start(delivery)
      if (claimed.length < free) return
    }
  })
  return {
    wake: () => loop.wake(),
    [Symbol.asyncDispose]: async () => {
      end.abort(new Error('The platform stops'))
      await loop[Symbol.asyncDispose]()
      await Promise.all(running.values())
    },
  }
}
