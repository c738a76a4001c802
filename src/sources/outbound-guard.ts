import { lookup as dnsLookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

import { messageOf, OperationError, systemErrorCode } from '../lib/errors.ts'
import type { RepositoryUrl } from './repository-url.ts'

/** All addresses of a host name. */
export type Lookup = (hostname: string) => Promise<readonly string[]>

export const systemLookup: Lookup = async (hostname) =>
  (await dnsLookup(hostname, { all: true, order: 'verbatim' })).map(({ address }) => address)

/** IANA's special-purpose ranges: everything that is not the public internet. */
const SPECIAL_V4 =
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4'
/** The last ones carry an IPv4 address inside: NAT64, 6to4 and Teredo. */
const SPECIAL_V6 =
  '::/96 ::1/128 100::/64 2001:2::/48 2001:db8::/32 2001:10::/28 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 64:ff9b::/96 64:ff9b:1::/48 2002::/16 2001::/32'

const special = createBlockList()

/** True for addresses of the public internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !special.check(address, 'ipv4')
  // `check` judges IPv4-mapped addresses by the IPv4 ranges.
  return family === 6 && !special.check(address, 'ipv6')
}

/**
 * Resolves a host once and returns the addresses to connect to, which git is then bound to: it must not resolve
 * again, because the answer may change. Throws `source.refused` when any of them is not public and the operator did not
 * mark the host `@private`; `source.unreachable` when there is none.
 */
export async function resolveOutbound(
  deps: { lookup: Lookup },
  url: Pick<RepositoryUrl, 'hostname' | 'isPrivate'>,
): Promise<readonly string[]> {
  const addresses = isIP(url.hostname) > 0 ? [url.hostname] : await resolve(deps, url.hostname)
  const refused = url.isPrivate ? undefined : addresses.find((address) => !isPublicAddress(address))
  if (refused !== undefined) {
    throw new OperationError(
      'source.refused',
      `Cannot connect to "${url.hostname}": its address ${refused} is not public, and the host is not marked @private in NANOSCALE_GIT_HOSTS`,
    )
  }
  return addresses
}

async function resolve(deps: { lookup: Lookup }, hostname: string): Promise<readonly string[]> {
  try {
    const addresses = await deps.lookup(hostname)
    if (addresses.length > 0) return addresses
  } catch (error) {
    throw unresolved(hostname, systemErrorCode(error) ?? messageOf(error), error)
  }
  throw unresolved(hostname, 'it has no address')
}

function unresolved(hostname: string, reason: string, cause?: unknown): OperationError {
  const sentence = `Cannot find the host "${hostname}": ${reason}`
  return new OperationError('source.unreachable', sentence, { cause })
}

function createBlockList(): BlockList {
  const list = new BlockList()
  const add = (ranges: string, family: 'ipv4' | 'ipv6') => {
    for (const range of ranges.split(' ')) {
      const [network = '', prefix = ''] = range.split('/')
      list.addSubnet(network, Number(prefix), family)
    }
  }
  add(SPECIAL_V4, 'ipv4')
  add(SPECIAL_V6, 'ipv6')
  return list
}
