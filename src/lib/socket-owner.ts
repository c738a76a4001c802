import { readFile } from 'node:fs/promises'

const LISTENING = '0A'
/** `127.0.0.1` and `0.0.0.0` as the kernel prints them, byte order of the machine. */
const IPV4_ADDRESSES = new Set(['0100007F', '00000000'])
/** `::ffff:127.0.0.1`, an IPv4 address in an IPv6 socket. */
const MAPPED_ADDRESSES = new Set(['0000000000000000FFFF00000100007F'])
/** `::`, which a connection to 127.0.0.1 reaches unless the socket is for IPv6 alone. */
const IPV6_ADDRESSES = new Set(['00000000000000000000000000000000'])

export interface ListeningSocket {
  uid: number
  /** The kernel's number of the socket, as in the links of `/proc/<pid>/fd`. */
  inode: string
}

/**
 * The uid that owns the socket which answers on `127.0.0.1:port`; null when nothing listens there, or when sockets of
 * different owners could.
 */
export async function listeningUid(port: number): Promise<number | null> {
  const uids = new Set((await listeningSockets(port)).map((socket) => socket.uid))
  const [uid] = uids
  return uids.size === 1 && uid !== undefined ? uid : null
}

/** All sockets that a connection to `127.0.0.1:port` can reach. */
export async function listeningSockets(port: number): Promise<ListeningSocket[]> {
  const [ipv4, ipv6] = await Promise.all([
    readFile('/proc/net/tcp', 'latin1'),
    // Missing where IPv6 is switched off.
    readFile('/proc/net/tcp6', 'latin1').catch(() => ''),
  ])
  const exact = [
    ...socketsInTable(ipv4, port, IPV4_ADDRESSES),
    ...socketsInTable(ipv6, port, MAPPED_ADDRESSES),
  ]
  // The kernel lets others listen on `::` beside these only for IPv6 alone: a neighbour who does that is not in the way.
  return exact.length > 0 ? exact : socketsInTable(ipv6, port, IPV6_ADDRESSES)
}

/** Reads one table of `/proc/net`: columns are slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode. */
export function socketsInTable(
  table: string,
  port: number,
  addresses: ReadonlySet<string>,
): ListeningSocket[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , uid, , inode] = line.trim().split(/\s+/)
    if (local === undefined || uid === undefined || inode === undefined) return []
    if (state !== LISTENING) return []
    const [address, localPort] = local.split(':')
    if (localPort !== wanted || address === undefined || !addresses.has(address)) return []
    return [{ uid: Number(uid), inode }]
  })
}
