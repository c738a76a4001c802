import { connect, type Socket } from 'node:net'

import { OperationError } from '../lib/errors.ts'
import {
  readLines,
  writeLine,
  type ControlEvent,
  type ControlOperation,
  type ControlResponse,
} from './control-protocol.ts'

/** One connection. `retired` resolves when it should not be used for more, `closed` when it is gone. */
export interface Link {
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

/** What is still unanswered when the process ends is rejected with this very error. */
export const LINK_LOST = new Error('The connection to the traffic process was lost')

/** Null when nobody listens. */
export async function openLink(socketPath: string, signal: AbortSignal): Promise<Link | null> {
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

export function unreachable(): OperationError {
  return new OperationError(
    'traffic.unreachable',
    'Cannot reach the traffic process: it does not answer on its socket',
  )
}
