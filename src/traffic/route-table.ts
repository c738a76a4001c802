/**
 * What the traffic process serves: host names and where each leads. Derived from the database by the control plane,
 * sent whole over the traffic process's Unix socket, swapped in one assignment and kept on disk for its next start.
 */
export interface RouteTable {
  /** Grows with every table; an older one never replaces a newer one. */
  version: number
  routes: readonly Route[]
}

export interface Route {
  /** Lower case, punycode, no port, no trailing dot. */
  hostname: string
  projectId: string
  target: RouteTarget
}

export type RouteTarget =
  | { kind: 'instance'; instanceId: string; port: number; uid: number | null }
  | { kind: 'static'; releaseId: string; directory: string; singlePageApp: boolean }
  /** The project exists and nothing of it is live, for this reason: 503 with a readable page. */
  | { kind: 'unavailable'; reason: 'never_deployed' | 'crashed' | 'starting' }
