import type { Clock } from '../lib/clock.ts'
import type { RouteTable } from '../traffic/route-table.ts'

/** Resolves when the traffic process serves a table that was derived after the call. */
export type PublishRoutes = () => Promise<void>

interface PublishDeps {
  clock: Clock
  traffic: { publish(table: RouteTable): Promise<void> }
  deriveRoutes(version: number): Promise<RouteTable>
}

/**
 * Publishes the route table, one at a time and in the order of deriving. Calls that come while one is under way share
 * the next one: a thousand changes at once are two tables.
 */
export function createRoutePublisher(deps: PublishDeps): PublishRoutes {
  let lastVersion = 0
  let current: Promise<void> = Promise.resolve()
  let next: Promise<void> | null = null
  const publish = async () => {
    next = null
    // Versions grow over restarts too, as long as the clock does not go back.
    lastVersion = Math.max(lastVersion + 1, deps.clock.now())
    await deps.traffic.publish(await deps.deriveRoutes(lastVersion))
  }
  return () => {
    if (next !== null) return next
    const following = current.then(publish, publish)
    next = following
    current = following
    return following
  }
}
