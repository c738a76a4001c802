import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { LINK_LOST, openLink, unreachable, type Link } from './control-link.ts'
import type { TrafficStats } from './control-protocol.ts'
import type { RouteTable } from './route-table.ts'

export type { TrafficStats } from './control-protocol.ts'

/** The control plane's end of the traffic process's socket. */
export interface TrafficClient {
  /**
   * Resolves when the table is served and on disk. While there is no connection it waits for one, up to a deadline:
   * then `traffic.unreachable` is thrown, and the table is still sent as soon as there is one. Throws
   * `traffic.stale_table` when a newer one is served.
   */
  publish(table: RouteTable): Promise<void>
  /**
   * Resolves when no request to this instance or release is in flight in any traffic process, or after `timeoutMs`;
   * then WebSockets are closed with 1001 and what is left is logged. A process that ended has nothing in flight.
   */
  drain(target: string, options: { timeoutMs: number }): Promise<void>
  /** Throws `traffic.unreachable` when the process does not answer. */
  stats(): Promise<TrafficStats>
  isConnected(): boolean
}

interface Deps {
  clock: Clock
  log: Logger
}

const ANSWER_WITHIN_MS = 10_000
/** A process that was restarted is back by then. */
const RECONNECT_WITHIN_MS = 2000
const RECONNECT_MS = { first: 20, longest: 1000 }

/** Connects, and connects again for ever. The last table published is sent on each new connection. */
export function connectTraffic(socketPath: string, deps: Deps): TrafficClient & AsyncDisposable {
  let table: RouteTable | undefined
  const links = keepLinked(socketPath, deps.clock, (link) => {
    if (table !== undefined) republish(deps, link, table)
  })
  return {
    async publish(newTable) {
      if (table === undefined || newTable.version >= table.version) table = newTable
      await onNextLinkToo(async () => {
        const link = await links.connected(ANSWER_WITHIN_MS)
        await link.ask({ operation: 'publish', table: newTable }, ANSWER_WITHIN_MS)
      })
    },
    async drain(target, { timeoutMs }) {
      // Without a connection we cannot know; when none comes, there is no process and nothing in flight.
      await links.connected(Math.min(timeoutMs, RECONNECT_WITHIN_MS)).catch(() => {})
      const left = await Promise.all(links.all().map((link) => drainLink(link, target, timeoutMs)))
      const inFlight = left.reduce((sum, count) => sum + count, 0)
      if (inFlight > 0) deps.log.warn('requests outlast the drain limit', { target, inFlight })
    },
    async stats() {
      const answer = await onNextLinkToo(async () => {
        const link = await links.connected(RECONNECT_WITHIN_MS)
        return await link.ask({ operation: 'stats' }, ANSWER_WITHIN_MS)
      })
      return answer as TrafficStats
    },
    isConnected: () => links.all().some((link) => !link.isRetired()),
    [Symbol.asyncDispose]: () => links.close(),
  }
}

interface Links {
  /** Open ones: the newest to talk to, and those of processes that are ending. */
  all(): readonly Link[]
  /** The one to talk to, as soon as there is one. Throws `traffic.unreachable` at the deadline. */
  connected(deadlineMs: number): Promise<Link>
  close(): Promise<void>
}

function keepLinked(socketPath: string, clock: Clock, onLink: (link: Link) => void): Links {
  const end = new AbortController()
  const links: Link[] = []
  const waiting: (() => void)[] = []
  const current = () => links.findLast((link) => !link.isRetired())
  const run = async () => {
    let pause = RECONNECT_MS.first
    while (!end.signal.aborted) {
      const link = await openLink(socketPath, end.signal)
      if (link !== null) {
        pause = RECONNECT_MS.first
        links.push(link)
        onLink(link)
        for (const resume of waiting.splice(0)) resume()
        void link.closed.then(() => links.splice(links.indexOf(link), 1))
        await link.retired
      }
      await clock.sleep(pause, end.signal).catch(() => {})
      pause = Math.min(pause * 2, RECONNECT_MS.longest)
    }
  }
  const running = run()
  return {
    all: () => links,
    async connected(deadlineMs) {
      if (current() === undefined) await firstOf(waiting, deadlineMs)
      const link = current()
      if (link === undefined) throw unreachable()
      return link
    },
    async close() {
      end.abort()
      for (const link of links) link.end()
      await running
    },
  }
}

function firstOf(waiting: (() => void)[], deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, deadlineMs)
    waiting.push(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** A process that ended before it answered is asked again when it is back; what is asked here may be asked twice. */
async function onNextLinkToo<Result>(ask: () => Promise<Result>): Promise<Result> {
  try {
    return await ask()
  } catch (error) {
    if (error !== LINK_LOST) throw error
  }
  try {
    return await ask()
  } catch (error) {
    throw error === LINK_LOST ? unreachable() : error
  }
}

async function drainLink(link: Link, target: string, timeoutMs: number): Promise<number> {
  try {
    const answer = await link.ask(
      { operation: 'drain', target, timeoutMs },
      timeoutMs + ANSWER_WITHIN_MS,
    )
    return (answer as { inFlight: number }).inFlight
  } catch (error) {
    if (error === LINK_LOST) return 0
    throw error
  }
}

function republish(deps: Deps, link: Link, table: RouteTable): void {
  link.ask({ operation: 'publish', table }, ANSWER_WITHIN_MS).catch((error: unknown) => {
    deps.log.warn('route table not taken', { version: table.version, error: String(error) })
  })
}
