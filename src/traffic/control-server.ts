import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'

import { isOperationError, messageOf, OperationError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import {
  readLines,
  writeLine,
  type ControlOperation,
  type ControlRequest,
  type TrafficStats,
} from './control-protocol.ts'
import { checkRouteTable } from './route-file.ts'
import type { RouteTable } from './route-table.ts'

export interface ControlDeps {
  /** Resolves when the table is served and on disk. */
  publish(table: RouteTable): Promise<void>
  drain(target: string, timeoutMs: number): Promise<number>
  stats(): TrafficStats
  log: Logger
}

export interface ControlServer {
  /** Sends everybody to the process that took the socket over; answers still due are given until `close`. */
  retire(): void
  close(): Promise<void>
}

/** Listens on a Unix socket that only our own user may open. An older process on the same path loses it. */
export async function startControlServer(
  deps: ControlDeps,
  socketPath: string,
): Promise<ControlServer> {
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o700 })
  const connections = new Set<Socket>()
  const server = createServer((socket) => {
    connections.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => connections.delete(socket))
    readLines(socket, (value) => void answer(deps, socket, value))
  })
  // Bound under another name first: there is no moment without a socket, and none with a wrong mode.
  const temporary = `${socketPath}.${process.pid}`
  await rm(temporary, { force: true })
  await listen(server, temporary)
  await chmod(temporary, 0o600)
  await rename(temporary, socketPath)
  return {
    retire() {
      server.close()
      for (const socket of connections) writeLine(socket, { event: 'closing' })
    },
    async close() {
      if (server.listening) server.close()
      for (const socket of connections) socket.end()
      const flushed = [...connections].map(
        (socket) => new Promise((resolve) => socket.once('close', resolve)),
      )
      const deadline = new Promise((resolve) => setTimeout(resolve, 200))
      await Promise.race([Promise.all(flushed), deadline])
      for (const socket of connections) socket.destroy()
    },
  }
}

async function answer(deps: ControlDeps, socket: Socket, value: unknown): Promise<void> {
  // Only our own user can connect, and only our own client does.
  const request = value as ControlRequest
  try {
    const result = await perform(deps, request)
    writeLine(socket, { id: request.id, ok: true, result })
  } catch (error) {
    const code = isOperationError(error) ? error.code : 'traffic.failed'
    deps.log.error('control request failed', { operation: request.operation, code })
    writeLine(socket, { id: request.id, ok: false, code, message: messageOf(error) })
  }
}

async function perform(deps: ControlDeps, request: ControlOperation): Promise<unknown> {
  switch (request.operation) {
    case 'publish':
      await deps.publish(checkRouteTable(request.table))
      return { version: request.table.version }
    case 'drain':
      return { inFlight: await deps.drain(request.target, request.timeoutMs) }
    case 'stats':
      return deps.stats()
    default:
      throw new OperationError(
        'traffic.unknown_operation',
        'Cannot do what was asked: this traffic process does not know it',
      )
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
