/** A connection that outlives its request: a WebSocket. `close` says goodbye (1001) and ends it. */
export interface LongConnection {
  close(): void
}

/** What is being served, counted by instance or release, so that it can be waited for before that one is stopped. */
export interface InFlight {
  /** Counts one request (or long connection) until the returned function is called; calling it twice is fine. */
  enter(id: string, connection?: LongConnection): () => void
  /**
   * Resolves with 0 when nothing of `id` is in flight, or after `timeoutMs` with what still is: its WebSockets are
   * closed then, other requests are left to the app's own grace period.
   */
  drain(id: string, timeoutMs: number): Promise<number>
  /** The same for all ids together. */
  drainAll(timeoutMs: number): Promise<number>
  counts(): Readonly<Record<string, number>>
  total(): number
}

interface Entry {
  requests: number
  connections: Set<LongConnection>
}

interface Waiter {
  isDone: () => boolean
  done: () => void
}

/** WebSockets that were told to close get this long to do it. */
const GOODBYE_MS = 2000

export function createInFlight(): InFlight {
  const entries = new Map<string, Entry>()
  const waiters = new Set<Waiter>()

  const settle = () => {
    for (const waiter of waiters) if (waiter.isDone()) waiter.done()
  }
  const waitFor = (isDone: () => boolean, timeoutMs: number) =>
    new Promise<void>((resolve) => {
      if (isDone()) return resolve()
      const done = () => {
        clearTimeout(timer)
        waiters.delete(waiter)
        resolve()
      }
      const waiter: Waiter = { isDone, done }
      const timer = setTimeout(done, timeoutMs)
      waiters.add(waiter)
    })
  const drain = async (selected: () => Entry[], timeoutMs: number) => {
    await waitFor(() => selected().length === 0, timeoutMs)
    const connections = selected().flatMap((entry) => [...entry.connections])
    for (const connection of connections) connection.close()
    const hasConnections = () => selected().some((entry) => entry.connections.size > 0)
    if (connections.length > 0) await waitFor(() => !hasConnections(), GOODBYE_MS)
    return sum(selected())
  }

  return {
    enter(id, connection) {
      const entry = entries.get(id) ?? { requests: 0, connections: new Set() }
      entries.set(id, entry)
      entry.requests += 1
      if (connection) entry.connections.add(connection)
      let left = false
      return () => {
        if (left) return
        left = true
        entry.requests -= 1
        if (connection) entry.connections.delete(connection)
        if (entry.requests === 0) entries.delete(id)
        if (waiters.size > 0) settle()
      }
    },
    drain: (id, timeoutMs) => drain(() => selectOne(entries, id), timeoutMs),
    drainAll: (timeoutMs) => drain(() => [...entries.values()], timeoutMs),
    counts: () => Object.fromEntries([...entries].map(([id, entry]) => [id, entry.requests])),
    total: () => sum([...entries.values()]),
  }
}

function selectOne(entries: ReadonlyMap<string, Entry>, id: string): Entry[] {
  const entry = entries.get(id)
  return entry ? [entry] : []
}

function sum(entries: readonly Entry[]): number {
  return entries.reduce((total, entry) => total + entry.requests, 0)
}
