import type { RouteTable, RouteTarget } from './route-table.ts'

/** The table that is served now. `swap` replaces it in one assignment, so a request sees one table or the other. */
export interface Routes {
  readonly version: number
  find(hostname: string): RouteTarget | undefined
  /** False when the table is older than the one served; then nothing changes. */
  swap(table: RouteTable): boolean
  /** Calls back after each swap with the ids of instances and releases that are served now. */
  onSwap(listener: (served: ReadonlySet<string>) => void): void
}

export function createRoutes(): Routes {
  let version = -1
  let targets: ReadonlyMap<string, RouteTarget> = new Map()
  const listeners: ((served: ReadonlySet<string>) => void)[] = []
  return {
    get version() {
      return version
    },
    find: (hostname) => targets.get(hostname),
    swap(table) {
      if (table.version < version) return false
      targets = new Map(table.routes.map((route) => [route.hostname, route.target]))
      version = table.version
      const served = new Set<string>()
      for (const target of targets.values()) {
        const id = targetId(target)
        if (id !== null) served.add(id)
      }
      for (const listener of listeners) listener(served)
      return true
    },
    onSwap: (listener) => listeners.push(listener),
  }
}

/** What requests are counted under, and drained by: the instance's or the release's id. */
function targetId(target: RouteTarget): string | null {
  if (target.kind === 'unavailable') return null
  return target.kind === 'instance' ? target.instanceId : target.releaseId
}
