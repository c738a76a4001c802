import { OperationError, isOperationError } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import { makeKey, parseKeys, type EncryptionKey } from './encryption-keys.ts'
import { createKeyFile, keyFileOf, readKeyFile, replaceKeyFile } from './key-file.ts'
import { createKeyring, type Keyring, type ChangeableKeyring } from './keyring.ts'

/** The keyring of this instance, with what rotation needs. */
export interface InstanceKeyring extends Keyring {
  /** `environment`: its keys change only with NANOSCALE_ENCRYPTION_KEYS and a restart. */
  readonly source: 'environment' | 'file'
  readonly keys: readonly EncryptionKey[]
  /** Puts a new key first, on disk before it seals anything, and returns its id. Throws `keyring.not_changeable` without a file. */
  addKey(taken: readonly string[]): Promise<string>
  /** Forgets a key; without a file only until the next start. */
  removeKey(id: string): Promise<void>
}

interface KeyringLocation {
  encryptionKeys: Secret | null
  dataDirectory: string
}

/**
 * Opens the keyring of the settings, else the key file. `createMissing` makes the file when there is none: only when
 * nothing was ever sealed, since a new key would stand in for a lost one. Throws `keyring.invalid`, `keyring.missing`,
 * `keyring.exposed`.
 */
export async function openKeyring(
  location: KeyringLocation,
  options: { createMissing: boolean },
): Promise<InstanceKeyring> {
  if (location.encryptionKeys !== null) {
    const keys = parseKeys(location.encryptionKeys.reveal(), 'NANOSCALE_ENCRYPTION_KEYS')
    return fixedKeyring(createKeyring(keys))
  }
  const path = keyFileOf(location.dataDirectory)
  return fileKeyring(createKeyring(await readOrCreate(path, options.createMissing)), path)
}

async function readOrCreate(path: string, create: boolean): Promise<EncryptionKey[]> {
  try {
    return await readKeyFile(path)
  } catch (error) {
    if (create && isOperationError(error, 'keyring.missing')) return await createKeyFile(path)
    throw error
  }
}

function fixedKeyring(ring: ChangeableKeyring): InstanceKeyring {
  return instanceKeyring(ring, 'environment', {
    addKey: () => {
      throw new OperationError(
        'keyring.not_changeable',
        'Cannot add a key: the keys come from NANOSCALE_ENCRYPTION_KEYS. Put a new one first there ' +
          '(k2:…,k1:…), restart, and rotate again',
      )
    },
    removeKey: (id) => {
      ring.replaceKeys(ring.keys.filter((key) => key.id !== id))
      return Promise.resolve()
    },
  })
}

function fileKeyring(ring: ChangeableKeyring, path: string): InstanceKeyring {
  const change = async (change: (keys: readonly EncryptionKey[]) => EncryptionKey[]) => {
    // Read again: an offline command may have changed it while this process did not look.
    const keys = change(await readKeyFile(path))
    await replaceKeyFile(path, keys)
    ring.replaceKeys(keys)
  }
  return instanceKeyring(ring, 'file', {
    addKey: async (taken) => {
      const key = makeKey([...taken, ...ring.keyIds])
      await change((keys) => [key, ...keys])
      return key.id
    },
    removeKey: (id) => change((keys) => keys.filter((key) => key.id !== id)),
  })
}

function instanceKeyring(
  ring: ChangeableKeyring,
  source: InstanceKeyring['source'],
  changes: Pick<InstanceKeyring, 'addKey' | 'removeKey'>,
): InstanceKeyring {
  return {
    get currentKeyId() {
      return ring.currentKeyId
    },
    get keyIds() {
      return ring.keyIds
    },
    get keys() {
      return ring.keys
    },
    source,
    seal: (plaintext, context) => ring.seal(plaintext, context),
    open: (sealed, context) => ring.open(sealed, context),
    fingerprint: (value) => ring.fingerprint(value),
    ...changes,
  }
}
