import { createHmac, hkdfSync } from 'node:crypto'

import { OperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import { openValue, sealValue, type SealContext } from './seal-format.ts'

/** Seals what is stored and opens it again. One per process; its keys come from outside the database. */
export interface Keyring {
  /** Id of the key that seals; the others only open. */
  readonly currentKeyId: string
  readonly keyIds: readonly string[]
  /** A value of its own each time, bound to the one place where it may be opened. */
  seal(plaintext: string, context: SealContext): string
  /** Throws `secrets.malformed`, `secrets.unknown_key`, `secrets.wrong_key_or_place`: never an empty or partial value. */
  open(sealed: string, context: SealContext): Secret
  /** A keyed hash in hex: equal for equal input, and useless for guessing without the key. Changes when a key is rotated. */
  fingerprint(value: string): string
}

/** 32 bytes under a name, newest first in a list. */
export interface EncryptionKey {
  readonly id: string
  readonly bytes: Uint8Array
}

/**
 * A key may be used for 2^32 random ivs; far below that it must be rotated. The count is of this process, so it bounds
 * a runaway loop; a rotation every few years bounds the rest.
 */
const MAX_SEALS = 2 ** 31

/** The first key seals. `sealsSoFar` is for tests of the limit. */
export function createKeyring(
  keys: readonly EncryptionKey[],
  options: { sealsSoFar?: number } = {},
): Keyring {
  const current = keys[0]
  if (current === undefined) {
    throw new OperationError('keyring.empty', 'Cannot open the keyring: there is no key in it')
  }
  const byId = new Map(keys.map((key) => [key.id, key.bytes]))
  let seals = options.sealsSoFar ?? 0
  const fingerprintKey = Buffer.from(
    hkdfSync('sha256', current.bytes, '', 'nanoscale fingerprint v1', 32),
  )
  return {
    currentKeyId: current.id,
    keyIds: keys.map((key) => key.id),
    seal: (plaintext, context) => {
      if (seals >= MAX_SEALS) {
        throw new OperationError(
          'keyring.exhausted',
          `Cannot seal with key "${current.id}": it was used ${MAX_SEALS} times. Run "nanoscale keys rotate"`,
        )
      }
      seals += 1
      return sealValue(current, plaintext, context)
    },
    open: (sealed, context) => new Secret(openValue((id) => byId.get(id), sealed, context)),
    fingerprint: (value) => createHmac('sha256', fingerprintKey).update(value).digest('hex'),
  }
}
