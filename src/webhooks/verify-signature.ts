import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { Secret } from '../lib/secret.ts'

/** Which of a hook's secrets signed a delivery. */
export type SigningSecret = 'current' | 'previous'

/** At most two: the one in use, and the one that it replaced, for deliveries that are sent again. */
export interface HookSecrets {
  current: Secret | null
  previous: Secret | null
}

export interface SignatureCheck {
  update(bytes: Uint8Array): void
  /** The secret that signed these bytes; null when none did. */
  verify(): SigningSecret | null
  /** SHA-256 of the bytes in hex. */
  readonly bodyHash: () => string
}

const SIGNATURE = /^sha256=([0-9a-f]{64})$/

/** Nobody knows it, so it verifies nothing: it costs the same time as a secret that somebody has. */
const UNKNOWN = randomBytes(32)

/**
 * Checks `X-Hub-Signature-256` over the raw bytes, as they come. Always two HMACs and two comparisons of full digests,
 * so the time does not tell whether there is a hook, or how many secrets it has. An empty secret verifies nothing.
 */
export function startSignatureCheck(secrets: HookSecrets, signature: string): SignatureCheck {
  const given = SIGNATURE.exec(signature)?.[1]
  const expected = given === undefined ? null : Buffer.from(given, 'hex')
  const candidates = [
    { name: 'current' as const, key: keyOf(secrets.current) },
    { name: 'previous' as const, key: keyOf(secrets.previous) },
  ].map(({ name, key }) => ({ name, known: key !== null, hmac: hmacOf(key) }))
  const hash = createHash('sha256')
  return {
    update: (bytes) => {
      for (const { hmac } of candidates) hmac.update(bytes)
      hash.update(bytes)
    },
    verify: () => {
      const matching = candidates.filter(({ known, hmac }) => {
        const digest = hmac.digest()
        const equal = timingSafeEqual(digest, expected ?? UNKNOWN)
        return equal && known && expected !== null
      })
      return matching[0]?.name ?? null
    },
    bodyHash: () => hash.digest('hex'),
  }
}

function keyOf(secret: Secret | null): string | null {
  const key = secret?.reveal() ?? ''
  return key === '' ? null : key
}

function hmacOf(key: string | null) {
  return createHmac('sha256', key ?? UNKNOWN)
}
