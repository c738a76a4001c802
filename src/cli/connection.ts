import { homedir } from 'node:os'
import { join } from 'node:path'

import { CliError } from './cli-error.ts'

/** How the server is reached: over the operator's socket of this machine, or with a token from anywhere. */
export type Connection =
  | { kind: 'operator'; socket: string; organization: string | null }
  | { kind: 'network'; url: URL; token: string }

export interface ConnectionOptions {
  url?: string | undefined
  token?: string | undefined
  org?: string | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Options before variables; without a URL, this machine. Throws a usage error for half of a pair. */
export function chooseConnection(
  options: ConnectionOptions,
  env: Environment,
  host: { uid: number; homeDirectory: string } = {
    uid: process.getuid?.() ?? -1,
    homeDirectory: homedir(),
  },
): Connection {
  const url = options.url ?? env['NANOSCALE_URL']
  const token = options.token ?? env['NANOSCALE_TOKEN']
  if (url === undefined || url === '') {
    const socket = join(dataDirectory(env, host), 'run', 'operator.sock')
    return { kind: 'operator', socket, organization: options.org ?? null }
  }
  const parsed = URL.parse(url)
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) {
    throw new CliError(
      2,
      `Cannot use the URL "${url}"`,
      'Give one such as https://nanoscale.example.com',
    )
  }
  if (token === undefined || token === '') {
    throw new CliError(
      2,
      `Cannot ask ${parsed.origin} without a token`,
      'Run "./nanoscale tokens create <name>" on its machine, then set NANOSCALE_TOKEN',
    )
  }
  return { kind: 'network', url: parsed, token }
}

/** As the server itself decides where its data is. */
function dataDirectory(env: Environment, host: { uid: number; homeDirectory: string }): string {
  const given = env['NANOSCALE_DATA_DIR']
  if (given !== undefined && given !== '') return given
  if (host.uid === 0) return '/var/lib/nanoscale'
  const base = env['XDG_DATA_HOME']
  return base?.startsWith('/') === true
    ? join(base, 'nanoscale')
    : join(host.homeDirectory, '.local', 'share', 'nanoscale')
}
