import type { Socket } from 'node:net'

import type { TrafficTotals } from './metrics.ts'
import type { RouteTable } from './route-table.ts'

/**
 * What passes over the traffic process's Unix socket: one JSON object a line. Each request is answered by one response
 * with its `id`, in any order; events come by themselves.
 */
export type ControlRequest = { id: number } & ControlOperation

export type ControlOperation =
  | { operation: 'publish'; table: RouteTable }
  /** `target` is an instance's or a release's id. */
  | { operation: 'drain'; target: string; timeoutMs: number }
  | { operation: 'stats' }

export type ControlResponse =
  | { id: number; ok: true; result: unknown }
  | { id: number; ok: false; code: string; message: string }

/** `closing`: this process is about to end, connect again; answers still due are given on the old connection. */
export interface ControlEvent {
  event: 'closing'
}

/** The state of the traffic process. Counters start at 0 with it. */
export interface TrafficStats extends TrafficTotals {
  pid: number
  /** ISO time. */
  startedAt: string
  /** Of the table that is served; -1 when there has never been one. */
  version: number
  /** Requests and WebSockets by instance or release id; those without any are left out. */
  inFlight: Record<string, number>
}

/** A table of 100,000 routes is about 25 MB. */
const MAX_LINE_BYTES = 64 * 1024 * 1024

export function writeLine(socket: Socket, value: ControlRequest | ControlResponse | ControlEvent) {
  if (!socket.destroyed && socket.writable) socket.write(`${JSON.stringify(value)}\n`)
}

/** Calls back with each line's value. Ends the connection on what is no JSON or too long. */
export function readLines(socket: Socket, onValue: (value: unknown) => void): void {
  let parts: Buffer[] = []
  let size = 0
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString('utf8')
      rest = rest.subarray(end + 1)
      parts = []
      size = 0
      const value = parse(line)
      if (value === undefined) {
        socket.destroy()
        return
      }
      onValue(value)
    }
    size += rest.length
    if (size > MAX_LINE_BYTES) socket.destroy()
    else if (rest.length > 0) parts.push(rest)
  })
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
