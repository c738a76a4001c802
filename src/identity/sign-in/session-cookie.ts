import { createHmac, timingSafeEqual } from 'node:crypto'

const DAY_MS = 24 * 60 * 60 * 1000
/** Longer headers are none of ours: browsers send at most 4 KiB for one cookie. */
const MAX_HEADER_LENGTH = 16_384

/** How sessions travel: one cookie with the token and its signature, as the sign-in library writes and reads it. */
export interface SessionCookies {
  /** Of the session's cookie. */
  readonly name: string
  /** Before the names of all our cookies. */
  readonly prefix: string
  /** Sent over TLS alone. */
  readonly secure: boolean
  readonly lifetimeMs: number
  /** The token of a `Cookie` header whose signature is ours, else null. */
  read(cookieHeader: string | null | undefined): string | null
  /** The value of a `Set-Cookie` header that keeps the token for the whole life of a session. */
  write(token: string): string
  /** The value of a `Set-Cookie` header that takes the cookie away. */
  clear(): string
  /** Any other cookie that we sign: its value, or null when it is not there or not ours. */
  readSigned(cookieHeader: string | null | undefined, name: string): string | null
  writeSigned(name: string, value: string, maxAgeSeconds: number): string
  /** A `Cookie` header with the session's cookie alone, or another one of ours; null when it is not there. */
  only(cookieHeader: string | null | undefined, name?: string): string | null
}

/**
 * Over https the name begins with `__Host-`: such a cookie cannot be set by a subdomain, which is where apps run.
 * `secret` is the text that the sign-in library signs with.
 */
export function createSessionCookies(options: {
  publicBaseUrl: string
  secret: string
  sessionDays: number
}): SessionCookies {
  const secure = new URL(options.publicBaseUrl).protocol === 'https:'
  const prefix = secure ? '__Host-nanoscale' : 'nanoscale'
  const name = `${prefix}.session`
  const lifetimeMs = options.sessionDays * DAY_MS
  const attributes = `; Path=/; HttpOnly${secure ? '; Secure' : ''}; SameSite=Lax`
  const cookie = (key: string, value: string, maxAgeSeconds: number) =>
    `${key}=${value}; Max-Age=${Math.floor(maxAgeSeconds)}${attributes}`
  const signed = (value: string) =>
    encodeURIComponent(`${value}.${signatureOf(value, options.secret)}`)
  const readSigned = (header: string | null | undefined, key: string) => {
    const value = readCookie(header, key)
    return value === null ? null : verify(value, options.secret)
  }
  return {
    name,
    prefix,
    secure,
    lifetimeMs,
    read: (header) => readSigned(header, name),
    write: (token) => cookie(name, signed(token), lifetimeMs / 1000),
    clear: () => cookie(name, '', 0),
    readSigned: (header, key) => readSigned(header, `${prefix}.${key}`),
    writeSigned: (key, value, maxAge) => cookie(`${prefix}.${key}`, signed(value), maxAge),
    only: (header, key) => {
      const full = key === undefined ? name : `${prefix}.${key}`
      const value = readCookie(header, full)
      return value === null ? null : `${full}=${encodeURIComponent(value)}`
    },
  }
}

function signatureOf(value: string, secret: string): string {
  return createHmac('sha256', secret).update(value).digest('base64')
}

function verify(signedValue: string, secret: string): string | null {
  const dot = signedValue.lastIndexOf('.')
  if (dot < 1) return null
  const value = signedValue.slice(0, dot)
  const given = Buffer.from(signedValue.slice(dot + 1))
  const expected = Buffer.from(signatureOf(value, secret))
  return given.length === expected.length && timingSafeEqual(given, expected) ? value : null
}

/** The first cookie of this name, decoded. */
function readCookie(header: string | null | undefined, name: string): string | null {
  if (header === null || header === undefined || header.length > MAX_HEADER_LENGTH) return null
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue
    try {
      return decodeURIComponent(pair.slice(equals + 1).trim())
    } catch {
      return null
    }
  }
  return null
}
