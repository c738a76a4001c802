import type { Server, Socket } from 'node:net'

/** Totals since the process started. */
export interface TrafficTotals {
  /** Answers by the first digit of their status: `2xx`. A WebSocket counts as `1xx`. */
  requests: Record<'1xx' | '2xx' | '3xx' | '4xx' | '5xx', number>
  /** Requests that an app did not answer: refused, reset, timed out, wrong owner of the port. */
  upstreamErrors: number
  /** Open connections of clients. */
  connections: number
  bytesReceived: number
  bytesSent: number
}

export interface Metrics {
  countAnswer(status: number): void
  countUpstreamError(): void
  totals(): TrafficTotals
}

const KINDS = [undefined, '1xx', '2xx', '3xx', '4xx', '5xx'] as const

/** Bytes are read from the sockets themselves, closed and open ones, so that counting costs a request nothing. */
export function createMetrics(server: Server): Metrics {
  const requests = { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 }
  const open = new Set<Socket>()
  let upstreamErrors = 0
  let bytesReceived = 0
  let bytesSent = 0
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      bytesReceived += socket.bytesRead
      bytesSent += socket.bytesWritten
    })
  })
  return {
    countAnswer(status) {
      const kind = KINDS[Math.trunc(status / 100)]
      if (kind !== undefined) requests[kind] += 1
    },
    countUpstreamError: () => (upstreamErrors += 1),
    totals() {
      let received = bytesReceived
      let sent = bytesSent
      for (const socket of open) {
        received += socket.bytesRead
        sent += socket.bytesWritten
      }
      return {
        requests: { ...requests },
        upstreamErrors,
        connections: open.size,
        bytesReceived: received,
        bytesSent: sent,
      }
    },
  }
}
