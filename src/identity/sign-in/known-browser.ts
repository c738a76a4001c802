import { createHash, randomBytes } from 'node:crypto'

import type { SessionCookies } from './session-cookie.ts'

/** A browser remembers for a year that it signed in to an account; it proves nothing else. */
const REMEMBERED_SECONDS = 365 * 24 * 60 * 60
const COOKIE = 'browser'

/** The id of this browser, when it signed in to this account before; null otherwise. */
export function knownBrowserId(
  cookies: SessionCookies,
  cookieHeader: string | null,
  email: string,
): string | null {
  const [id, account] = cookies.readSigned(cookieHeader, COOKIE)?.split('~') ?? []
  return id !== undefined && account === accountOf(email) ? id : null
}

/** A `Set-Cookie` value by which this browser is known to this account. */
export function rememberBrowser(cookies: SessionCookies, email: string): string {
  const id = randomBytes(16).toString('base64url')
  return cookies.writeSigned(COOKIE, `${id}~${accountOf(email)}`, REMEMBERED_SECONDS)
}

function accountOf(email: string): string {
  return createHash('sha256').update(email.trim().toLowerCase()).digest('hex').slice(0, 32)
}
