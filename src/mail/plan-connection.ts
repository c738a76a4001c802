import { isIP } from 'node:net'

/** How a mail server is talked to, in the words of nodemailer; `account` is what the address holds. */
export interface ConnectionPlan {
  host: string
  port: number
  /** TLS from the first byte. */
  secure: boolean
  /** STARTTLS or nothing. */
  requireTLS: boolean
  /** No STARTTLS although it is offered. */
  ignoreTLS: boolean
  tls: { rejectUnauthorized: true; minVersion: 'TLSv1.2' }
  auth?: { user: string; pass: string }
  account: { username: string; password: string }
}

/**
 * `smtps:` is TLS from the beginning (port 465), `smtp:` must upgrade by STARTTLS (port 587). Certificates are always
 * verified. A relay on this machine is spoken to in the clear (port 25): nobody else hears it, and the certificates
 * that distributions make for it could not be verified. Queries of the address are ignored, as they could weaken this.
 */
export function planConnection(url: URL): ConnectionPlan {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const secure = url.protocol === 'smtps:'
  const local = isLoopback(host)
  const username = decoded(url.username)
  const password = decoded(url.password)
  return {
    host,
    port: url.port === '' ? defaultPort(secure, local) : Number(url.port),
    secure,
    requireTLS: !secure && !local,
    ignoreTLS: !secure && local,
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    ...(username === '' ? {} : { auth: { user: username, pass: password } }),
    account: { username, password },
  }
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIP(host) === 4 && host.startsWith('127.')
}

function defaultPort(secure: boolean, local: boolean): number {
  if (secure) return 465
  return local ? 25 : 587
}

/** A stray percent sign in a password is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
