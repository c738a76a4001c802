import type { Clock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import type { RouteTable } from '../traffic/route-table.ts'

/** Resolves when the traffic process serves a table that was derived after the call. */
export type PublishRoutes = () => Promise<void>

export interface RoutePublisher {
  publish: PublishRoutes
  /** True when the last table was not taken: what is served is not what the records say. */
  isBehind(): boolean
}

interface PublishDeps {
  clock: Clock
  traffic: {
    publish(table: RouteTable): Promise<void>
    stats(): Promise<{ version: number }>
  }
  deriveRoutes(version: number): Promise<RouteTable>
}

/**
 * Publishes the route table, one at a time and in the order of deriving. Calls that come while one is under way share
 * the next one: a thousand changes at once are two tables.
 */
export function createRoutePublisher(deps: PublishDeps): RoutePublisher {
  let lastVersion = 0
  let isBehind = false
  let current: Promise<void> = Promise.resolve()
  let next: Promise<void> | null = null
  const give = async () => {
    // Versions grow over restarts too, as long as the clock does not go back.
    lastVersion = Math.max(lastVersion + 1, deps.clock.now())
    try {
      await deps.traffic.publish(await deps.deriveRoutes(lastVersion))
    } catch (error) {
      if (!isOperationError(error, 'traffic.stale_table')) throw error
      // It went back since an earlier process of ours published: go on from what is served.
      lastVersion = Math.max(lastVersion, (await deps.traffic.stats()).version) + 1
      await deps.traffic.publish(await deps.deriveRoutes(lastVersion))
    }
  }
  const publish = async () => {
    next = null
    try {
      await give()
      isBehind = false
    } catch (error) {
      isBehind = true
      throw error
    }
  }
  return {
    publish: () => {
      if (next !== null) return next
      const following = current.then(publish, publish)
      next = following
      current = following
      return following
    },
    isBehind: () => isBehind,
  }
}
