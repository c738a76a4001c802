/** Of Standard Webhooks: shorter keys could be guessed. */
const MIN_KEY_BYTES = 24
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/

/**
 * The keys in `whsec_<base64>`, several separated by commas while one replaces the other. Null when any part is
 * something else, empty, or shorter than 24 bytes.
 */
export function parseWebhookSecrets(text: string): Uint8Array[] | null {
  const keys: Uint8Array[] = []
  for (const part of text.split(',')) {
    const encoded = SECRET.exec(part.trim())?.[1]
    if (encoded === undefined) return null
    const key = Buffer.from(encoded, 'base64')
    if (key.length < MIN_KEY_BYTES) return null
    keys.push(key)
  }
  return keys
}
