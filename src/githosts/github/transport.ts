import type { LookupOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { callbackify } from 'node:util'

import { Agent, request, type Dispatcher } from 'undici'

import type { Clock } from '../../lib/clock.ts'
import { isOperationError, messageOf, OperationError, systemErrorCode } from '../../lib/errors.ts'
import { resolveOutbound, type Lookup } from '../../sources/outbound-guard.ts'
import type { GithubSite } from '../github-host.ts'
import { findDestination } from './allowed-site.ts'

/** In milliseconds. */
export interface Deadlines {
  /** To connect, to send, and to get the headers of the answer. */
  headersMs: number
  bodyMs: number
}

const DEADLINES: Deadlines = { headersMs: 10_000, bodyMs: 30_000 }
/** A page of a hundred repositories is some 700 KB. */
const MAX_ANSWER_BYTES = 8 * 2 ** 20
/** At a time and host; GitHub refuses more than 100 at once. */
const MAX_CONNECTIONS = 32
/** Of an idle connection. */
const KEEP_ALIVE_MS = 10_000

export interface TransportDeps {
  clock: Pick<Clock, 'now'>
  lookup: Lookup
  /** `host[:port][@private]`, as the operator allows them. */
  gitHosts: readonly string[]
  deadlines?: Deadlines
}

export interface Outgoing {
  site: GithubSite
  base: 'api' | 'web'
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With its query, below the site's address. */
  path: string
  headers: Readonly<Record<string, string>>
  body?: string
}

export interface Received {
  status: number
  header: (name: string) => string | null
  text: string
  /** By our clock, when the headers came. */
  receivedAt: number
}

export interface Transport extends AsyncDisposable {
  send(outgoing: Outgoing, signal: AbortSignal): Promise<Received>
}

/**
 * One request, one answer: to allowed hosts alone, at the address that was checked; redirects are not followed; with
 * deadlines and a limit of size. Throws `github.unreachable`, `github.invalid_answer` and `source.host_not_allowed`.
 */
export function createTransport(deps: TransportDeps): Transport {
  // One for each kind of host: what a name may resolve to is decided where the connection is made.
  const agents = {
    private: createAgent(deps, true),
    public: createAgent(deps, false),
  }
  return {
    send: async (outgoing, signal) => {
      const { site, base, path, method } = outgoing
      const { url, hostname, isPrivate } = findDestination(deps.gitHosts, site, base, path)
      const dispatcher = isPrivate ? agents.private : agents.public
      const attempt = async () => await exchange(deps, dispatcher, url, outgoing, signal)
      // Of an address no name is looked up.
      if (isIP(hostname) > 0) await resolve(deps, hostname, isPrivate)
      try {
        return await attempt()
      } catch (error) {
        // A connection that was kept may be closed at the moment it is used again.
        if (method === 'GET' && isBrokenSocket(error)) return await attempt()
        throw error
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([agents.private.destroy(), agents.public.destroy()])
    },
  }
}

function createAgent(deps: TransportDeps, isPrivate: boolean): Agent {
  const lookup = callbackify(async (hostname: string, _options: LookupOptions) => {
    const addresses = await resolve(deps, hostname, isPrivate)
    return addresses.map((address) => ({ address, family: isIP(address) }))
  }) as LookupFunction
  const timeout = (deps.deadlines ?? DEADLINES).headersMs
  // With `autoSelectFamily` all addresses are asked for, as they are given here.
  const connect = { lookup, timeout, autoSelectFamily: true }
  return new Agent({ connect, connections: MAX_CONNECTIONS, keepAliveTimeout: KEEP_ALIVE_MS })
}

async function resolve(deps: TransportDeps, hostname: string, isPrivate: boolean) {
  try {
    return await resolveOutbound(deps, { hostname, isPrivate })
  } catch (error) {
    if (!isOperationError(error)) throw error
    throw new OperationError('github.unreachable', error.message, { cause: error })
  }
}

async function exchange(
  deps: TransportDeps,
  dispatcher: Dispatcher,
  url: URL,
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<Received> {
  signal.throwIfAborted()
  const { headersMs, bodyMs } = deps.deadlines ?? DEADLINES
  const late = new AbortController()
  const until = (ms: number, what: string) =>
    setTimeout(() => late.abort(unreachable(url, `no ${what} within ${ms / 1000} s`)), ms)
  let timer = until(headersMs, 'answer')
  try {
    const { method, headers, body = null } = outgoing
    const both = AbortSignal.any([signal, late.signal])
    const answer = await request(url, { dispatcher, method, headers, body, signal: both })
    clearTimeout(timer)
    timer = until(bodyMs, 'complete answer')
    const receivedAt = deps.clock.now()
    const text = await readLimited(url, answer.body)
    const header = (name: string) => {
      const value = answer.headers[name]
      return (Array.isArray(value) ? value[0] : value) ?? null
    }
    return { status: answer.statusCode, header, text, receivedAt }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (late.signal.aborted) throw late.signal.reason
    if (isOperationError(error)) throw error
    const reason = systemErrorCode(error) ?? messageOf(error)
    throw unreachable(url, reason, error)
  } finally {
    clearTimeout(timer)
  }
}

async function readLimited(url: URL, body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) {
      const limit = `${MAX_ANSWER_BYTES / 2 ** 20} MiB`
      throw invalidAnswer(url.host, `it is over ${limit}`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export function invalidAnswer(host: string, reason: string, cause?: unknown): OperationError {
  const sentence = `Cannot use the answer of "${host}": ${reason}`
  return new OperationError('github.invalid_answer', sentence, { cause })
}

function unreachable(url: URL, reason: string, cause?: unknown): OperationError {
  const sentence = `Cannot reach "${url.host}": ${reason}`
  return new OperationError('github.unreachable', sentence, { cause })
}

function isBrokenSocket(error: unknown): boolean {
  if (!isOperationError(error, 'github.unreachable')) return false
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(systemErrorCode(error.cause) ?? '')
}
