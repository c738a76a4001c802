import { lstat, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { OperationError, systemErrorCode } from '../lib/errors.ts'
import { createFileAtomically, writeFileAtomically } from '../lib/write-file-atomically.ts'
import { formatKeys, makeKey, parseKeys, type EncryptionKey } from './encryption-keys.ts'

const HEADER = `# The keys that seal the stored secrets of this NanoScale; the first one seals, all of them open.
# Without them variables and credentials are lost: keep a copy apart from the backup of the database.
`

/** Offline commands may run as root; the control plane reads the file as the user that owns its directory. */
const OWNER = { mode: 0o600, ownedAsDirectory: true }

/** The key file of the embedded default. */
export function keyFileOf(dataDirectory: string): string {
  return join(dataDirectory, 'keys', 'keyring')
}

/** Throws `keyring.missing`, `keyring.exposed` (others may read it) and `keyring.invalid`. */
export async function readKeyFile(path: string): Promise<EncryptionKey[]> {
  let text: string
  try {
    const { mode } = await lstat(path)
    if ((mode & 0o077) !== 0) {
      throw new OperationError(
        'keyring.exposed',
        `Cannot open the keyring "${path}": other users may read it (mode ${(mode & 0o777).toString(8)}). ` +
          `Run: chmod 600 ${path}`,
      )
    }
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (systemErrorCode(cause) !== 'ENOENT') throw cause
    throw new OperationError(
      'keyring.missing',
      `Cannot open the keyring "${path}": it does not exist`,
      {
        cause,
      },
    )
  }
  return parseKeys(text, path)
}

/** Makes the file with one new key. When another process made it meanwhile, that one counts. */
export async function createKeyFile(path: string): Promise<EncryptionKey[]> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await createFileAtomically(path, HEADER + formatKeys([makeKey([])]), OWNER)
  return await readKeyFile(path)
}

/** After a crash at any moment the file has either the old keys or the new ones. */
export async function replaceKeyFile(path: string, keys: readonly EncryptionKey[]): Promise<void> {
  await writeFileAtomically(path, HEADER + formatKeys(keys), OWNER)
}
