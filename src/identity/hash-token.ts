import { createHash } from 'node:crypto'

/** sha256 of a token in hex, as the database holds it. Our tokens are 256 random bits, so a plain hash is enough. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
