import { connect, type Socket } from 'node:net'

import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import {
  readLines,
  writeLine,
  type ControlEvent,
  type ControlOperation,
  type ControlResponse,
  type TrafficStats,
} from './control-protocol.ts'
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
const RECONNECT_MS = { first: 20, longest: 1000 }

/** Connects, and connects again for ever. The last table published is sent on each new connection. */
export function connectTraffic(socketPath: string, deps: Deps): TrafficClient & AsyncDisposable {
  const end = new AbortController()
  /** The newest is the one to talk to; older ones belong to processes that are ending. */
  const links: Link[] = []
  let table: RouteTable | undefined
  let waiting: (() => void)[] = []

  const run = async () => {
    let pause = RECONNECT_MS.first
    while (!end.signal.aborted) {
      const link = await openLink(socketPath, end.signal)
      if (link !== null) {
        pause = RECONNECT_MS.first
        links.push(link)
        if (table !== undefined) republish(deps, link, table)
        for (const resume of waiting.splice(0)) resume()
        void link.closed.then(() => links.splice(links.indexOf(link), 1))
        await link.retired
      }
      await deps.clock.sleep(pause, end.signal).catch(() => {})
      pause = Math.min(pause * 2, RECONNECT_MS.longest)
    }
  }
  const running = run()
  const connected = async (deadlineMs: number): Promise<Link> => {
    const current = links.findLast((link) => !link.isRetired())
    if (current !== undefined) return current
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)))
    const next = new Promise<void>((resolve) => waiting.push(resolve))
    await Promise.race([next, deadline])
    clearTimeout(timer)
    const link = links.findLast((candidate) => !candidate.isRetired())
    if (link === undefined) throw unreachable()
    return link
  }

  return {
    async publish(newTable) {
      if (table === undefined || newTable.version >= table.version) table = newTable
      await onNextLinkToo(async () => {
        const link = await connected(ANSWER_WITHIN_MS)
        await link.ask({ operation: 'publish', table: newTable }, ANSWER_WITHIN_MS)
      })
    },
    async drain(target, { timeoutMs }) {
      const answers = links.map((link) => drainLink(link, target, timeoutMs))
      const left = await Promise.all(answers)
      const inFlight = left.reduce((sum, count) => sum + count, 0)
      if (inFlight > 0) deps.log.warn('requests outlast the drain limit', { target, inFlight })
    },
    stats: async () =>
      (await onNextLinkToo(async () => {
        const link = await connected(ANSWER_WITHIN_MS)
        return await link.ask({ operation: 'stats' }, ANSWER_WITHIN_MS)
      })) as TrafficStats,
    isConnected: () => links.some((link) => !link.isRetired()),
    async [Symbol.asyncDispose]() {
      end.abort()
      for (const link of links) link.end()
      await running
    },
  }
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

/** One connection. `retired` resolves when it should not be used for more, `closed` when it is gone. */
interface Link {
  ask(operation: ControlOperation, timeoutMs: number): Promise<unknown>
  isRetired(): boolean
  retired: Promise<void>
  closed: Promise<void>
  end(): void
}

interface Pending {
  resolve(result: unknown): void
  reject(error: unknown): void
}

const LINK_LOST = new Error('The connection to the traffic process was lost')

async function openLink(socketPath: string, signal: AbortSignal): Promise<Link | null> {
  const socket = await openSocket(socketPath, signal)
  if (socket === null) return null
  const pending = new Map<number, Pending>()
  const retired = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let isRetired = false
  let lastId = 0
  const retire = () => {
    isRetired = true
    retired.resolve()
  }
  readLines(socket, (value) => {
    const message = value as ControlResponse | ControlEvent
    if ('event' in message) return retire()
    const request = pending.get(message.id)
    pending.delete(message.id)
    if (message.ok) request?.resolve(message.result)
    else request?.reject(new OperationError(message.code, message.message))
  })
  socket.on('error', () => socket.destroy())
  socket.once('close', () => {
    retire()
    closed.resolve()
    for (const request of pending.values()) request.reject(LINK_LOST)
    pending.clear()
  })
  return {
    retired: retired.promise,
    closed: closed.promise,
    isRetired: () => isRetired,
    end: () => socket.destroy(),
    ask: (operation, timeoutMs) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(LINK_LOST)
        lastId += 1
        const id = lastId
        const timer = setTimeout(() => {
          pending.delete(id)
          reject(unreachable())
        }, timeoutMs)
        const settle = (act: (value: unknown) => void) => (value: unknown) => {
          clearTimeout(timer)
          act(value)
        }
        pending.set(id, { resolve: settle(resolve), reject: settle(reject) })
        writeLine(socket, { id, ...operation })
      }),
  }
}

function openSocket(path: string, signal: AbortSignal): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ path, signal })
    socket.once('error', () => resolve(null))
    socket.once('connect', () => resolve(socket))
  })
}

function unreachable(): OperationError {
  return new OperationError(
    'traffic.unreachable',
    'Cannot reach the traffic process: it does not answer on its socket',
  )
}
