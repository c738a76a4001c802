import { createHmac, timingSafeEqual } from 'node:crypto'

/** Seconds between the sender's clock and ours, in both directions; Standard Webhooks says five minutes. */
const TOLERANCE_MS = 5 * 60_000
const DIGEST_BYTES = 32

const ID = /^[A-Za-z0-9_.-]{1,128}$/
const SECONDS = /^[0-9]{1,11}$/
/** `v1,<base64> v1,<base64>`; a header that was sent twice is joined by a comma and a space, and is not this. */
const SIGNATURES = /^[^\s,]+,[^\s,]+(?: [^\s,]+,[^\s,]+){0,9}$/
const DIGEST = /^[A-Za-z0-9+/]{43}=$/

export type VerifiedMessage = { valid: true; id: string } | { valid: false; reason: string }

/**
 * Whether whoever has one of the keys sent exactly these bytes within the last five minutes (Standard Webhooks, under
 * Svix's names of the headers or the standard's). The reason is for the log: whoever asks is told none.
 */
export function verifyClerkMessage(
  message: { rawBody: Uint8Array; headers: Headers },
  keys: readonly Uint8Array[],
  now: number,
): VerifiedMessage {
  const prefix = message.headers.has('svix-id') ? 'svix' : 'webhook'
  const id = message.headers.get(`${prefix}-id`) ?? ''
  const timestamp = message.headers.get(`${prefix}-timestamp`) ?? ''
  const signatures = message.headers.get(`${prefix}-signature`) ?? ''
  if (!ID.test(id)) return invalid('its id is missing or malformed')
  if (!SECONDS.test(timestamp)) return invalid('its timestamp is missing or malformed')
  if (Math.abs(now - Number(timestamp) * 1000) > TOLERANCE_MS) {
    return invalid('its timestamp is more than 5 minutes away: is the clock of this machine right?')
  }
  if (!SIGNATURES.test(signatures)) return invalid('its signature is missing or malformed')
  const given = digestsOf(signatures)
  const matches = keys.some((key) => {
    const expected = createHmac('sha256', key)
      .update(`${id}.${timestamp}.`)
      .update(message.rawBody)
      .digest()
    return given.some((digest) => timingSafeEqual(digest, expected))
  })
  return matches ? { valid: true, id } : invalid('no signature matches')
}

function invalid(reason: string): VerifiedMessage {
  return { valid: false, reason }
}

/** The digests of version 1; others are of schemes that we do not know. */
function digestsOf(signatures: string): Buffer[] {
  return signatures
    .split(' ')
    .map((item) => item.split(','))
    .filter(([version, digest = '']) => version === 'v1' && DIGEST.test(digest))
    .map(([, digest = '']) => Buffer.from(digest, 'base64'))
    .filter((digest) => digest.length === DIGEST_BYTES)
}
