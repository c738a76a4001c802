import { randomBytes } from 'node:crypto'

import { OperationError } from '../lib/errors.ts'
import { KEY_BYTES, KEY_ID } from './seal-format.ts'

/** 32 bytes under a name. In a list the first one seals. */
export interface EncryptionKey {
  readonly id: string
  readonly bytes: Uint8Array
}

/**
 * Reads `k2:base64,k1:base64`, separated by commas or lines; lines that begin with `#` are comments. Throws
 * `keyring.invalid` naming everything that is wrong, and never a part of a key. `source` says where the text is from.
 */
export function parseKeys(text: string, source: string): EncryptionKey[] {
  const entries = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.split(','))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  const keys: EncryptionKey[] = []
  const problems = entries.length === 0 ? ['has no key'] : []
  for (const [index, entry] of entries.entries()) {
    const parsed = parseEntry(entry, index + 1, keys)
    if ('problem' in parsed) problems.push(parsed.problem)
    else keys.push(parsed)
  }
  if (problems.length > 0) {
    throw new OperationError(
      'keyring.invalid',
      `Cannot open the keyring: ${source} ${problems.join('; ')}. A key is id:base64 of 32 random bytes`,
      { details: { [source]: problems } },
    )
  }
  return keys
}

/** The inverse of `parseKeys`. */
export function formatKeys(keys: readonly EncryptionKey[]): string {
  return keys.map(({ id, bytes }) => `${id}:${Buffer.from(bytes).toString('base64')}\n`).join('')
}

/** A new key under an id that none of `taken` has: `k1`, `k2`, … */
export function makeKey(taken: readonly string[]): EncryptionKey {
  const numbers = taken.map((id) => Number(/^k(\d{1,9})$/.exec(id)?.[1] ?? 0))
  return { id: `k${Math.max(0, ...numbers) + 1}`, bytes: randomBytes(KEY_BYTES) }
}

function parseEntry(
  entry: string,
  position: number,
  earlier: readonly EncryptionKey[],
): EncryptionKey | { problem: string } {
  const colon = entry.indexOf(':')
  const id = entry.slice(0, colon)
  // What has no id may be a key: it is not repeated in a message.
  if (colon < 1 || !KEY_ID.test(id)) return { problem: `has no valid id in entry ${position}` }
  const bytes = decode(entry.slice(colon + 1).trim())
  if (bytes === null) return { problem: `has a key "${id}" that is not base64` }
  if (bytes.length !== KEY_BYTES) {
    return { problem: `has a key "${id}" of ${bytes.length} bytes instead of ${KEY_BYTES}` }
  }
  if (new Set(bytes).size < 8) return { problem: `has a key "${id}" that is not random` }
  if (earlier.some((key) => key.id === id)) return { problem: `has the id "${id}" twice` }
  const same = earlier.find((key) => Buffer.compare(key.bytes, bytes) === 0)
  if (same !== undefined) return { problem: `has one key under two ids, "${same.id}" and "${id}"` }
  return { id, bytes }
}

/** Strict: `Buffer.from` skips what it does not know, and would make a shorter key of a damaged one. */
function decode(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  const canonical = bytes.toString('base64').replace(/=+$/, '')
  const given = text
    .replace(/={0,2}$/, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/')
  return given !== '' && canonical === given ? bytes : null
}
