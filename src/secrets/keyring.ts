import { createHmac, hkdfSync } from 'node:crypto'

import { OperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import type { EncryptionKey } from './encryption-keys.ts'
import { openValue, sealValue, type SealContext } from './seal-format.ts'

export type { SealContext } from './seal-format.ts'

/**
 * Seals what is stored and opens it again. Its keys come from outside the database. For a column of the registry
 * (`sealed-columns.ts`) the context is the row's organization, the table, the column and the row's id.
 */
export interface Keyring {
  /** Id of the key that seals; the others only open. */
  readonly currentKeyId: string
  readonly keyIds: readonly string[]
  /** Another text each time, bound to the one place where it may be opened. */
  seal(plaintext: string, context: SealContext): string
  /** Throws `secrets.malformed`, `secrets.unknown_key`, `secrets.wrong_key_or_place`: never an empty or partial value. */
  open(sealed: string, context: SealContext): Secret
  /** A keyed hash in hex, equal for equal input. Another one after a key rotation. */
  fingerprint(value: string): string
}

/** A keyring whose keys may change while it is in use. */
export interface ChangeableKeyring extends Keyring {
  readonly keys: readonly EncryptionKey[]
  replaceKeys(keys: readonly EncryptionKey[]): void
}

/**
 * A key may meet 2^32 random ivs; a process that seals more than half of that is in a loop, and any other is bounded by
 * a rotation every few years.
 */
const MAX_SEALS = 2 ** 31

/** The first key seals. `sealsSoFar` lets a test reach the limit. */
export function createKeyring(
  initialKeys: readonly EncryptionKey[],
  options: { sealsSoFar?: number } = {},
): ChangeableKeyring {
  let seals = options.sealsSoFar ?? 0
  let state = stateOf(initialKeys)
  return {
    get currentKeyId() {
      return state.current.id
    },
    get keyIds() {
      return state.keys.map((key) => key.id)
    },
    get keys() {
      return state.keys
    },
    seal: (plaintext, context) => {
      if (seals >= MAX_SEALS) {
        throw new OperationError(
          'keyring.exhausted',
          `Cannot seal with key "${state.current.id}": it was used ${MAX_SEALS} times. Run: nanoscale keys rotate`,
        )
      }
      seals += 1
      return sealValue(state.current, plaintext, context)
    },
    open: (sealed, context) => {
      const keyOf = (id: string) => state.keys.find((key) => key.id === id)?.bytes
      return new Secret(openValue(keyOf, sealed, context))
    },
    fingerprint: (value) => createHmac('sha256', state.fingerprintKey).update(value).digest('hex'),
    replaceKeys: (keys) => {
      if (keys[0]?.id !== state.current.id) seals = 0
      state = stateOf(keys)
    },
  }
}

function stateOf(keys: readonly EncryptionKey[]) {
  const [current] = keys
  if (current === undefined) {
    throw new OperationError('keyring.invalid', 'Cannot open the keyring: there is no key in it')
  }
  const derived = hkdfSync('sha256', current.bytes, '', 'nanoscale fingerprint v1', 32)
  return { keys, current, fingerprintKey: Buffer.from(derived) }
}
