import { connect, type Socket } from 'node:net'

import { Pool } from 'undici'

import { OperationError } from '../lib/errors.ts'
import type { RouteTarget } from './route-table.ts'

export type InstanceTarget = Extract<RouteTarget, { kind: 'instance' }>

/** The uid whose socket listens on a local TCP port; null when nobody does or it cannot be told. */
export type ListeningUid = (port: number) => Promise<number | null>

/** True when the socket on a local TCP port is the instance's own; asked where all apps run as our own user. */
export type InstanceListens = (instanceId: string, port: number) => Promise<boolean>

interface OwnerChecks {
  listeningUid: ListeningUid
  instanceListens?: InstanceListens | undefined
}

/** Connections to apps. Nothing is sent on one before its port was seen to belong to the app's own user. */
export interface Upstreams {
  /** The keep-alive connections of an instance. */
  poolOf(target: InstanceTarget): Pool
  /** One connection of its own, for an upgrade. Throws `traffic.foreign_listener`, or the socket's error. */
  connect(target: InstanceTarget): Promise<Socket>
  /** Lets go of instances that are served no more: their requests finish, their idle connections close. */
  retain(served: ReadonlySet<string>): void
  close(): Promise<void>
}

export interface UpstreamLimits {
  connectMs: number
  /** From the request sent to the head of the answer. */
  headMs: number
  /** Between two parts of an answer; long, because event streams may be silent. */
  silenceMs: number
}

interface Upstream {
  pool: Pool
  connect(): Promise<Socket>
}

export function createUpstreams(deps: OwnerChecks, limits: UpstreamLimits): Upstreams {
  const upstreams = new Map<string, Upstream & { instanceId: string }>()
  const upstreamOf = (target: InstanceTarget) => {
    // An instance that was started again may have another port.
    const key = `${target.instanceId} ${target.port}`
    let upstream = upstreams.get(key)
    if (upstream === undefined) {
      upstream = { instanceId: target.instanceId, ...createUpstream(deps, target, limits) }
      upstreams.set(key, upstream)
    }
    return upstream
  }
  return {
    poolOf: (target) => upstreamOf(target).pool,
    connect: (target) => upstreamOf(target).connect(),
    retain(served) {
      for (const [key, { instanceId, pool }] of upstreams) {
        if (served.has(instanceId)) continue
        upstreams.delete(key)
        pool.close().catch(() => {})
      }
    },
    async close() {
      await Promise.all([...upstreams.values()].map(({ pool }) => pool.destroy()))
      upstreams.clear()
    },
  }
}

function createUpstream(
  deps: OwnerChecks,
  target: InstanceTarget,
  limits: UpstreamLimits,
): Upstream {
  const readOwner = sharedRead(() => ownerOf(deps, target))
  const connectChecked = async () => {
    const socket = await openSocket(target.port, limits.connectMs)
    try {
      await checkOwner(readOwner, target)
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
  const pool = new Pool(`http://127.0.0.1:${target.port}`, {
    pipelining: 1,
    headersTimeout: limits.headMs,
    bodyTimeout: limits.silenceMs,
    connect: (_options, callback) => void handOver(connectChecked, callback),
  })
  return { pool, connect: connectChecked }
}

async function handOver(
  open: () => Promise<Socket>,
  callback: (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
): Promise<void> {
  let socket: Socket
  try {
    socket = await open()
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)), null)
    return
  }
  callback(null, socket)
}

/**
 * Asked after the connection stands: what accepted it is then what listens, or has been since. Without this a neighbour
 * who takes the port of a crashed app would receive its visitors and their cookies.
 */
async function checkOwner(
  readOwner: () => Promise<number | null>,
  target: InstanceTarget,
): Promise<void> {
  if (target.uid === null) return
  const owner = await readOwner()
  if (owner === target.uid) return
  throw new OperationError(
    'traffic.foreign_listener',
    `Cannot use port ${target.port}: it belongs to uid ${owner ?? 'unknown'}, not to ${target.uid}`,
  )
}

/** Where all apps share a uid, a socket of another app counts as nobody's. */
async function ownerOf(deps: OwnerChecks, target: InstanceTarget): Promise<number | null> {
  const owner = await deps.listeningUid(target.port)
  const { instanceListens } = deps
  if (instanceListens === undefined || owner === null || owner !== process.getuid?.()) return owner
  return (await instanceListens(target.instanceId, target.port)) ? owner : null
}

function openSocket(port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, keepAlive: true })
    const timer = setTimeout(() => {
      socket.destroy(new Error(`Cannot connect to port ${port} within ${timeoutMs} ms`))
    }, timeoutMs)
    socket.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

/** Many new connections share one read, but never one that began before they did. */
function sharedRead<Value>(read: () => Promise<Value>): () => Promise<Value> {
  let current: Promise<Value> | undefined
  let next: Promise<Value> | undefined
  const start = () => {
    next = undefined
    const reading = read().finally(() => {
      if (current === reading) current = undefined
    })
    current = reading
    return reading
  }
  return () => {
    if (current === undefined) return start()
    next ??= current.then(start, start)
    return next
  }
}
