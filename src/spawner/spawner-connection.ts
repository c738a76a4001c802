import { createConnection } from 'node:net'
import type { Socket } from 'node:net'

import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { MAX_LINE_BYTES, readJsonLines, writeJsonLine } from './json-lines.ts'

/** How long a request waits for a spawner that is away: its parent starts it again within a second. */
const PATIENCE_MS = 10_000
const FIRST_PAUSE_MS = 20
const MAX_PAUSE_MS = 500

interface Request {
  method: string
  params: object
  /** What to do when the connection is lost with the answer outstanding; `persist` repeats without a limit of time. */
  onLoss: 'repeat' | 'persist' | 'fail'
}

interface Pending extends Request {
  /** The server that it was first sent to; null when it never was. */
  sentTo: string | null
  resolve(result: unknown): void
  reject(error: unknown): void
}

export interface SpawnerConnection extends AsyncDisposable {
  ask(request: Request, signal?: AbortSignal): Promise<unknown>
}

interface State {
  pending: Map<number, Pending>
  nextId: number
  /** Null while there is no connection over which the server has said who it is. */
  link: { socket: Socket; server: string } | null
  isConnecting: boolean
  closing: AbortController
}

/** One connection at a time, with the requests whose answers are outstanding. */
export function openSpawnerConnection(
  socketPath: string,
  deps: { clock: Clock },
): SpawnerConnection {
  const state: State = {
    pending: new Map(),
    nextId: 1,
    link: null,
    isConnecting: false,
    closing: new AbortController(),
  }
  return {
    ask: (request, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason)
        if (state.closing.signal.aborted) return reject(closed())
        const id = state.nextId++
        const onAbort = () => {
          if (!state.pending.delete(id)) return
          if (state.link !== null) writeJsonLine(state.link.socket, { cancel: id })
          reject(signal?.reason)
        }
        const settle = () => signal?.removeEventListener('abort', onAbort)
        signal?.addEventListener('abort', onAbort, { once: true })
        state.pending.set(id, {
          ...request,
          sentTo: null,
          resolve: (result) => (settle(), resolve(result)),
          reject: (error) => (settle(), reject(error)),
        })
        if (state.link === null) void keepConnecting(state, socketPath, deps)
        else send(state, id)
      }),
    async [Symbol.asyncDispose]() {
      state.closing.abort()
      state.link?.socket.destroy()
      failAll(state, () => true, closed)
    },
  }
}

function send(state: State, id: number): void {
  const pending = state.pending.get(id)
  if (pending === undefined || state.link === null) return
  const { method, params, sentTo } = pending
  pending.sentTo ??= state.link.server
  // A start that may have been done already says so; the rest is the same however often it is done.
  const askedBefore = method === 'start' && sentTo !== null ? { askedBefore: sentTo } : {}
  writeJsonLine(state.link.socket, { id, method, params: { ...params, ...askedBefore } })
}

/** Tries until there is a connection, nobody waits any more, or we are disposed of. */
async function keepConnecting(
  state: State,
  socketPath: string,
  deps: { clock: Clock },
): Promise<void> {
  if (state.isConnecting) return
  state.isConnecting = true
  const deadline = deps.clock.now() + PATIENCE_MS
  try {
    let pauseMs = FIRST_PAUSE_MS
    while (state.pending.size > 0 && !(await connect(state, socketPath, deps))) {
      if (deps.clock.now() > deadline) {
        failAll(state, (pending) => pending.onLoss !== 'persist', unavailable)
      }
      await deps.clock.sleep(pauseMs, state.closing.signal)
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
    }
  } catch {
    // Disposed of; what was pending has been told.
  } finally {
    state.isConnecting = false
  }
}

/** True once the server has greeted. Whatever happens to the connection later is dealt with here, too. */
function connect(state: State, socketPath: string, deps: { clock: Clock }): Promise<boolean> {
  return new Promise((resolve) => {
    if (state.closing.signal.aborted) return resolve(true)
    const socket = createConnection(socketPath)
    // The reason of a failure is in the `close` that follows it.
    socket.on('error', () => {})
    socket.once('close', () => {
      resolve(false)
      if (state.link?.socket !== socket) return
      state.link = null
      failAll(state, (pending) => pending.onLoss === 'fail' && pending.sentTo !== null, lost)
      if (state.pending.size > 0) void keepConnecting(state, socketPath, deps)
    })
    readJsonLines(socket, { maxLineBytes: MAX_LINE_BYTES }, (value) => {
      const message = value as { server?: string; id?: number; result?: unknown; error?: Failure }
      if (message.server !== undefined) {
        state.link = { socket, server: message.server }
        for (const id of state.pending.keys()) send(state, id)
        return resolve(true)
      }
      receive(state, message)
    })
  })
}

interface Failure {
  code: string
  message: string
}

function receive(state: State, message: { id?: number; result?: unknown; error?: Failure }): void {
  const pending = message.id === undefined ? undefined : state.pending.get(message.id)
  if (message.id === undefined || pending === undefined) return
  state.pending.delete(message.id)
  if (message.error === undefined) pending.resolve(message.result)
  else pending.reject(new OperationError(message.error.code, message.error.message))
}

function failAll(
  state: State,
  isMeant: (pending: Pending) => boolean,
  failure: () => OperationError,
): void {
  for (const [id, pending] of state.pending) {
    if (!isMeant(pending)) continue
    state.pending.delete(id)
    pending.reject(failure())
  }
}

function lost(): OperationError {
  return new OperationError(
    'spawner.lost',
    'Cannot tell how the command ended: the spawner went away while it ran',
  )
}

function unavailable(): OperationError {
  return new OperationError(
    'spawner.unavailable',
    `Cannot reach the spawner: it did not answer for ${PATIENCE_MS / 1000} s`,
  )
}

function closed(): OperationError {
  return new OperationError('spawner.closed', 'Cannot ask the spawner: the connection was closed')
}
