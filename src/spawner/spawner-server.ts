import { randomUUID } from 'node:crypto'
import { chmod, lchown, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'

import { OperationError, isOperationError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { readJsonLines, writeJsonLine } from './json-lines.ts'
import type { LocalSpawner } from './local-spawner.ts'
import {
  invalid,
  readAccount,
  readBuildAccount,
  readFields,
  readGraceMs,
  readPlace,
  readProcessRef,
  readProcessSpec,
  readReader,
  readRunSpec,
  readText,
} from './spawner-messages.ts'

/** Requests of one connection that are under way; each instance that is watched is one. */
const MAX_REQUESTS = 20_000
const MAX_REQUEST_BYTES = 8 * 1024 * 1024

interface SpawnerServerOptions {
  spawner: LocalSpawner
  socketPath: string
  /** Where the socket is made before it is moved to its path: on the same file system, and root's own when root. */
  stagingDirectory: string
  /** Who may connect besides us; null when that is ourselves. */
  socketOwner: { uid: number; gid: number } | null
  log: Logger
}

/**
 * Serves a spawner over a Unix socket, one JSON value a line. Requests that nobody waits for any more are aborted, so
 * disposing of a client ends its `run`s; processes that were started live on.
 */
export async function startSpawnerServer(options: SpawnerServerOptions): Promise<AsyncDisposable> {
  const serverId = randomUUID()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    serveConnection(options, serverId, socket)
  })
  await listen(server, options)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/**
 * The directory of the socket belongs to the platform user, who could swap what root is about to chown there. So root
 * makes the socket in its own directory, gives it away and then moves it, which also replaces a stale one at once.
 */
async function listen(server: Server, options: SpawnerServerOptions): Promise<void> {
  const { socketPath, socketOwner } = options
  const staged = join(options.stagingDirectory, `.spawner-${randomUUID().slice(0, 8)}.sock`)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(staged, () => resolve())
  })
  try {
    await chmod(staged, 0o600)
    if (socketOwner !== null) await lchown(staged, socketOwner.uid, socketOwner.gid)
    await rename(staged, socketPath)
  } catch (error) {
    server.close()
    await rm(staged, { force: true })
    throw error
  }
}

function serveConnection(options: SpawnerServerOptions, serverId: string, socket: Socket): void {
  const underway = new Map<number, AbortController>()
  socket.on('error', (error) => options.log.warn('Connection broke', { error: messageOf(error) }))
  socket.once('close', () => {
    for (const controller of underway.values()) controller.abort()
  })
  writeJsonLine(socket, { server: serverId })
  const answer = async (id: number, method: unknown, params: unknown) => {
    const controller = new AbortController()
    underway.set(id, controller)
    try {
      const result = await dispatch(options.spawner, serverId, method, params, controller.signal)
      writeJsonLine(socket, { id, result: result ?? null })
    } catch (error) {
      if (!controller.signal.aborted)
        writeJsonLine(socket, { id, error: describe(options.log, error) })
    } finally {
      underway.delete(id)
    }
  }
  readJsonLines(socket, { maxLineBytes: MAX_REQUEST_BYTES }, (value) => {
    const { id, cancel, method, params } = isObject(value) ? value : {}
    if (typeof cancel === 'number') return underway.get(cancel)?.abort()
    const isUsable = typeof id === 'number' && !underway.has(id) && underway.size < MAX_REQUESTS
    if (!isUsable) return void socket.destroy()
    void answer(id, method, params)
  })
}

async function dispatch(
  spawner: LocalSpawner,
  serverId: string,
  method: unknown,
  value: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const params = readFields(value, 'params')
  switch (method) {
    case 'start': {
      const spec = readProcessSpec(params['spec'])
      const { askedBefore } = params
      if (askedBefore === undefined) return spawner.start(spec)
      return spawner.startAgain(spec, { askedAnother: askedBefore !== serverId })
    }
    case 'run':
      return spawner.run(readRunSpec(params['spec']), signal)
    case 'exited':
      return spawner.exited(readProcessRef(params['process']), signal)
    case 'isAlive':
      return spawner.isAlive(readProcessRef(params['process']))
    case 'stop':
      return spawner.stop(readProcessRef(params['process']), {
        graceMs: readGraceMs(params['options']),
      })
    case 'endAccount':
      return spawner.endAccount(readBuildAccount(params['account']))
    case 'makeDirectory':
      return spawner.makeDirectory(readPlace(params['place']), readAccount(params['owner']))
    case 'usage':
      return spawner.usage(readPlace(params['place']))
    case 'remove':
      return spawner.remove(readPlace(params['place']))
    case 'sealRelease':
      return spawner.sealRelease({
        build: readText(params['build'], 'build'),
        path: readText(params['path'], 'path'),
        release: readText(params['release'], 'release'),
        reader: readReader(params['reader']),
      })
    case 'removeLog':
      return spawner.removeLog(readText(params['log'], 'log'))
    case 'isolation':
      return spawner.isolation()
    case 'accountBase':
      return spawner.accountBase()
    default:
      throw invalid('method')
  }
}

function describe(log: Logger, error: unknown): { code: string; message: string } {
  if (isOperationError(error)) return { code: error.code, message: error.message }
  log.error('Request failed', { error: error instanceof Error ? error.stack : String(error) })
  const failure = new OperationError('spawner.failed', `Cannot do it: ${messageOf(error)}`)
  return { code: failure.code, message: failure.message }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
