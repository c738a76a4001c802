import { isIP, isIPv6 } from 'node:net'

import { trustPeers } from '../traffic/forwarded-headers.ts'

/** The address of a client, from that of its connection and its `X-Forwarded-For`. */
export type ClientAddress = (peer: string | null, forwardedFor: string | null) => string | null

/**
 * Believes proxies that are listed, addresses or networks, and nobody else: of a chain it takes the last address that
 * no such proxy has. Loopback counts as any other address.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusts = trustPeers(trustedProxies)
  return (peer, forwardedFor) => {
    let client = peer === null ? null : normalAddress(peer)
    const chain = forwardedFor?.split(',') ?? []
    while (client !== null && trusts(client)) {
      const before = normalAddress(chain.pop() ?? '')
      if (before === null) return client
      client = before
    }
    return client
  }
}

/** One spelling for each address, IPv4 within IPv6 as IPv4; null for what is no address. A port is left out. */
export function normalAddress(text: string): string | null {
  const bare = /^\s*(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+|(.*?))\s*$/.exec(text)
  const [address = ''] = (bare?.[1] ?? bare?.[2] ?? bare?.[3] ?? '').split('%')
  const family = isIP(address)
  if (family !== 6) return family === 4 ? address : null
  const compressed = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(compressed)
  if (mapped === null) return compressed
  const bytes = mapped.slice(1).flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
  return bytes.join('.')
}

/** What a limit for an address counts by: whoever has one IPv6 address has the 2^64 beside it. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [front = '', back] = address.split('::')
  const groups = front === '' ? [] : front.split(':')
  const rest = back === undefined || back === '' ? [] : back.split(':')
  const gap = Array.from({ length: 8 - groups.length - rest.length }, () => '0')
  return `${[...groups, ...gap, ...rest].slice(0, 4).join(':')}::/64`
}
