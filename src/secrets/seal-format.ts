import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

import { OperationError } from '../lib/errors.ts'

/**
 * A sealed value is `v1.<key id>.<wrapped data key>.<iv>.<ciphertext>.<tag>`, its four last parts in base64url.
 * AES-256-GCM throughout, 12 byte ivs, 16 byte tags. Each value has a data key of its own, so one key of the keyring
 * never meets more than its wraps: the wrapped data key is `iv (12) | encrypted data key (32) | tag (16)`, 60 bytes,
 * under the key of the keyring. The additional data of both layers is the same: where the value belongs.
 */
export interface SealContext {
  organizationId: string
  table: string
  column: string
  rowId: string
}

const VERSION = 'v1'
const ALGORITHM = 'aes-256-gcm'
const IV_BYTES = 12
/** Fixed: GCM accepts tags of 4 bytes when it is not told, and those can be guessed. */
const TAG_BYTES = 16
export const KEY_BYTES = 32

/** Key ids stand between the dots of sealed values. */
export const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/

interface Box {
  iv: Buffer
  ciphertext: Buffer
  tag: Buffer
}

export function sealValue(
  key: { id: string; bytes: Uint8Array },
  plaintext: string,
  context: SealContext,
): string {
  const aad = additionalData(context)
  const dataKey = randomBytes(KEY_BYTES)
  const wrapped = encrypt(key.bytes, dataKey, aad)
  const value = encrypt(dataKey, Buffer.from(plaintext, 'utf8'), aad)
  dataKey.fill(0)
  const parts = [
    Buffer.concat([wrapped.iv, wrapped.ciphertext, wrapped.tag]),
    value.iv,
    value.ciphertext,
    value.tag,
  ]
  return [VERSION, key.id, ...parts.map((part) => part.toString('base64url'))].join('.')
}

/** Throws `secrets.malformed`, `secrets.unknown_key` and `secrets.wrong_key_or_place`; never yields part of a value. */
export function openValue(
  keyOf: (id: string) => Uint8Array | undefined,
  sealed: string,
  context: SealContext,
): string {
  const { keyId, wrapped, value } = parse(sealed, context)
  const key = keyOf(keyId)
  if (key === undefined) {
    throw new OperationError(
      'secrets.unknown_key',
      `Cannot open ${place(context)}: it is sealed with key "${keyId}", which is not in the keyring`,
    )
  }
  const aad = additionalData(context)
  try {
    const dataKey = decrypt(key, wrapped, aad)
    return decrypt(dataKey, value, aad).toString('utf8')
  } catch (cause) {
    throw new OperationError(
      'secrets.wrong_key_or_place',
      `Cannot open ${place(context)}: it was changed, belongs to another row, or key "${keyId}" is another key`,
      { cause },
    )
  }
}

/** What a value starts with that this key sealed, for counting rows in SQL. */
export function prefixOf(keyId: string): string {
  return `${VERSION}.${keyId}.`
}

function encrypt(key: Uint8Array, plaintext: Uint8Array, aad: Buffer): Box {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(aad)
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return { iv, ciphertext, tag: cipher.getAuthTag() }
}

function decrypt(key: Uint8Array, box: Box, aad: Buffer): Buffer {
  const decipher = createDecipheriv(ALGORITHM, key, box.iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad)
  decipher.setAuthTag(box.tag)
  return Buffer.concat([decipher.update(box.ciphertext), decipher.final()])
}

/** Each part with its length: no two places have the same additional data, whatever characters are in them. */
function additionalData(context: SealContext): Buffer {
  const parts = [VERSION, context.organizationId, context.table, context.column, context.rowId]
  return Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('|'), 'utf8')
}

function parse(sealed: string, context: SealContext) {
  const [version, keyId, ...texts] = sealed.split('.')
  const parts = texts.map(fromBase64url)
  const [wrapped, iv, ciphertext, tag] = parts
  if (
    version !== VERSION ||
    keyId === undefined ||
    !KEY_ID.test(keyId) ||
    parts.length !== 4 ||
    wrapped?.length !== IV_BYTES + KEY_BYTES + TAG_BYTES ||
    iv?.length !== IV_BYTES ||
    !ciphertext ||
    tag?.length !== TAG_BYTES
  ) {
    throw new OperationError('secrets.malformed', `Cannot open ${place(context)}: it is damaged`)
  }
  const box: Box = {
    iv: wrapped.subarray(0, IV_BYTES),
    ciphertext: wrapped.subarray(IV_BYTES, IV_BYTES + KEY_BYTES),
    tag: wrapped.subarray(IV_BYTES + KEY_BYTES),
  }
  return { keyId, wrapped: box, value: { iv, ciphertext, tag } }
}

/** Null unless it is the one way to write these bytes: `Buffer.from` alone skips what it does not know. */
function fromBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : null
}

function place(context: SealContext): string {
  return `${context.table}.${context.column} of row "${context.rowId}"`
}
