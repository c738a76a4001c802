import { isIP } from 'node:net'
import { isAbsolute, normalize } from 'node:path'

import { Secret } from '../lib/secret.ts'

/** A value as text, understood or refused: `problem` continues "NANOSCALE_X …". */
export type Parsed<Value> = { value: Value } | { problem: string }
export type Parse<Value> = (text: string) => Parsed<Value>

export type DatabaseSetting =
  | { engine: 'sqlite'; path: string }
  | { engine: 'postgres'; url: string }

export const secret: Parse<Secret> = (text) => ({ value: new Secret(text) })

export function oneOf<const Choice extends string>(choices: readonly Choice[]): Parse<Choice> {
  return (text) => {
    const value = choices.find((choice) => choice === text)
    return value === undefined ? { problem: `must be one of ${choices.join(', ')}` } : { value }
  }
}

export const flag: Parse<boolean> = (text) => {
  if (['1', 'true', 'yes', 'on'].includes(text.toLowerCase())) return { value: true }
  if (['0', 'false', 'no', 'off'].includes(text.toLowerCase())) return { value: false }
  return { problem: 'must be 1 or 0' }
}

export function integerBetween(least: number, most: number): Parse<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN
    return value >= least && value <= most
      ? { value }
      : { problem: `must be a whole number from ${least} to ${most}` }
  }
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
}

/** Bytes, or with a unit: `512M`, `4G` (powers of 1024). */
export function bytesFrom(least: number): Parse<number> {
  return (text) => {
    const match = /^(\d{1,15})([KMGT]?)(?:i?B)?$/i.exec(text)
    const value =
      match === null ? NaN : Number(match[1]) * (UNITS[(match[2] ?? '').toUpperCase()] ?? NaN)
    return Number.isSafeInteger(value) && value >= least
      ? { value }
      : { problem: `must be a size such as 512M or 4G, at least ${least} bytes` }
  }
}

export const absolutePath: Parse<string> = (text) => {
  if (!isAbsolute(text) || text.includes('\0')) return { problem: 'must be an absolute path' }
  const path = normalize(text)
  return { value: path.length > 1 ? path.replace(/\/$/, '') : path }
}

export const ipAddress: Parse<string> = (text) =>
  isIP(text) === 0
    ? { problem: 'must be an IP address such as 127.0.0.1, 0.0.0.0 or ::' }
    : { value: text }

export const hostname: Parse<string> = (text) => {
  const value = text.toLowerCase().replace(/\.$/, '')
  return isHostname(value)
    ? { value }
    : { problem: 'must be a host name such as apps.example.com, without scheme, port or wildcard' }
}

/** The origin alone: cookies and app addresses are made for a whole host. */
export const originUrl: Parse<string> = (text) => {
  const url = URL.parse(text)
  if (url === null || !isPlainOrigin(url) || url.hostname.includes('*')) {
    return { problem: 'must be an address such as https://nanoscale.example.com, without a path' }
  }
  return { value: url.origin }
}

/** An origin whose host begins with `*.`, in whose place an app's name is put. */
export const originPattern: Parse<string> = (text) => {
  // URL knows no wildcard: a label that nobody has stands in for it.
  const url = /^https?:\/\/\*\.[^*]+$/i.test(text) ? URL.parse(text.replace('*', 'any')) : null
  if (url === null || !isPlainOrigin(url) || !isHostname(url.hostname)) {
    return { problem: 'must be a pattern such as https://*.apps.example.com, without a path' }
  }
  return { value: url.origin.replace('://any.', '://*.') }
}

function isPlainOrigin(url: URL): boolean {
  const plain = url.pathname === '/' && url.search === '' && url.hash === ''
  return plain && url.username === '' && url.password === '' && /^https?:$/.test(url.protocol)
}

export function isHostname(text: string): boolean {
  const labels = text.split('.')
  const valid = labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
  // A last label of digits alone would be read as an IPv4 address.
  return valid && text.length <= 253 && !/^\d+$/.test(labels.at(-1) ?? '')
}

export const database: Parse<DatabaseSetting> = (text) => {
  if (text.startsWith('sqlite:')) {
    const path = absolutePath(text.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, ''))
    if ('value' in path) return { value: { engine: 'sqlite', path: path.value } }
  } else if (/^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? '')) {
    return { value: { engine: 'postgres', url: text } }
  }
  return { problem: 'must be postgres://user:password@host/database or sqlite:/absolute/path' }
}

/** Separated by commas or spaces; each entry once. */
export function listOf(entry: Parse<string>): Parse<string[]> {
  return (text) => {
    const value: string[] = []
    for (const part of text.split(/[\s,]+/).filter((item) => item !== '')) {
      const parsed = entry(part)
      if ('problem' in parsed)
        return { problem: `has the entry "${part}", which ${parsed.problem}` }
      if (value.includes(parsed.value)) return { problem: `has the entry "${part}" twice` }
      value.push(parsed.value)
    }
    return { value }
  }
}

/** `host[:port][@private]`: a Git host that may be reached, `@private` also at an address of a private network. */
export const gitHost: Parse<string> = (text) => {
  const match = /^(\[[0-9a-f:]+\]|[^[\]:@]+)(?::(\d{1,5}))?(@private)?$/i.exec(text)
  const host = (match?.[1] ?? '').toLowerCase()
  const address = host.replace(/^\[(.*)\]$/, '$1')
  const port = match?.[2] === undefined ? 1 : Number(match[2])
  const known = isHostname(host) || isIP(host) === 4 || (host !== address && isIP(address) === 6)
  if (match === null || !known || port < 1 || port > 65535) {
    return { problem: 'must be host, host:port, host@private or host:port@private' }
  }
  return { value: text.toLowerCase() }
}

/** An address or a network such as `10.0.0.0/8`. */
export const addressRange: Parse<string> = (text) => {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  const valid = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
  return bits !== -1 && valid && rest.length === 0
    ? { value: text.toLowerCase() }
    : { problem: 'must be an IP address or a network such as 10.0.0.0/8' }
}
