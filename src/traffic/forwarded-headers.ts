import type { IncomingMessage } from 'node:http'
import { BlockList, isIPv6 } from 'node:net'

import { OperationError } from '../lib/errors.ts'

/** Headers as Node's raw arrays have them: name, value, name, value. */
export type RawHeaders = string[]

/** True for the address of a peer whose `X-Forwarded-*` headers count. */
export type TrustsPeer = (address: string) => boolean

/** From addresses and CIDR ranges. Throws `traffic.invalid_trusted_proxy`. Nobody is trusted unless listed. */
export function trustPeers(entries: readonly string[]): TrustsPeer {
  if (entries.length === 0) return () => false
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    try {
      if (bits === undefined) list.addAddress(address, family)
      else list.addSubnet(address, Number(bits), family)
    } catch (cause) {
      throw new OperationError(
        'traffic.invalid_trusted_proxy',
        `Cannot trust "${entry}": it is no address and no CIDR range`,
        { cause },
      )
    }
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** These belong to one connection and are never passed on; `Connection` may name more. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // Answered by us: the body is asked for as soon as the request has a target.
  'expect',
])

/**
 * What the app receives: the client's headers without hop-by-hop ones, `Host` as it came, and what we know of the
 * client. What an untrusted peer claims of itself is dropped, in each spelling that frameworks fold together.
 */
export function upstreamHeaders(request: IncomingMessage, trusts: TrustsPeer): RawHeaders {
  const raw = request.rawHeaders
  const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const trusted = trusts(peer)
  const named = namedByConnection(request.headers.connection)
  const headers: RawHeaders = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.has(lower) || named?.has(lower) || isForwarding(lower, trusted)) continue
    headers.push(name, raw[i + 1] ?? '')
  }
  const chain = trusted ? last(request.headers['x-forwarded-for']) : undefined
  const proto = trusted ? last(request.headers['x-forwarded-proto']) : undefined
  const host = trusted ? last(request.headers['x-forwarded-host']) : undefined
  headers.push(
    'X-Forwarded-For',
    chain === undefined ? peer : `${chain}, ${peer}`,
    'X-Forwarded-Proto',
    proto === 'https' ? 'https' : 'http',
    'X-Forwarded-Host',
    host ?? request.headers.host ?? '',
  )
  return headers
}

/** What the client receives: the app's headers without hop-by-hop ones. Bytes stay as they are (latin1). */
export function clientHeaders(raw: readonly (Buffer | string)[]): RawHeaders {
  const headers: RawHeaders = []
  let named: Set<string> | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i])
    const lower = name.toLowerCase()
    if (lower === 'connection') named = namedByConnection(text(raw[i + 1])) ?? named
    if (!HOP_BY_HOP.has(lower)) headers.push(name, text(raw[i + 1]))
  }
  if (named === undefined) return headers
  const dropped = named
  return headers.filter((_, i) => !dropped.has((headers[i - (i % 2)] ?? '').toLowerCase()))
}

function isForwarding(lower: string, trusted: boolean): boolean {
  const name = lower.includes('_') ? lower.replaceAll('_', '-') : lower
  // Ours replace these three in any case; a look-alike with underscores is never the proxy's own.
  if (name === 'x-forwarded-for' || name === 'x-forwarded-proto' || name === 'x-forwarded-host') {
    return true
  }
  if (trusted) return false
  return name.startsWith('x-forwarded-') || name === 'forwarded' || name === 'x-real-ip'
}

/** The names in a `Connection` header besides the usual two; undefined when there are none. */
function namedByConnection(value: string | undefined): Set<string> | undefined {
  if (value === undefined || /^(?:keep-alive|close)$/i.test(value)) return undefined
  const names = value.split(',').map((name) => name.trim().toLowerCase())
  // A client must not be able to remove what routing and framing stand on.
  return new Set(names.filter((name) => name !== 'host' && name !== 'content-length'))
}

function last(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

function text(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '')
}
