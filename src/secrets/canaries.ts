import type { Database } from '../database/database.ts'
import type { Clock } from '../lib/clock.ts'
import { toIsoTime } from '../lib/clock.ts'
import { OperationError, isOperationError } from '../lib/errors.ts'
import type { EncryptionKey } from './encryption-keys.ts'
import { createKeyring } from './keyring.ts'
import type { InstanceKeyring } from './open-keyring.ts'
import type { SealContext } from './seal-format.ts'
import { countSealedBy, countSealedByOthers } from './sealed-columns.ts'

type Keys = Pick<InstanceKeyring, 'keys' | 'currentKeyId'>

/** What is wrong between the keyring and the records; nothing: every value can be opened. */
export type CanaryProblem =
  | { kind: 'wrong_key'; keyId: string }
  | { kind: 'missing_key'; keyId: string; values: number }
  | { kind: 'retired_key_seals'; keyId: string }
  | { kind: 'unknown_sealer'; values: number }

/**
 * Compares the keyring with the canaries: one known text per key, sealed by it and kept in `encryption_keys`. Changes
 * nothing.
 */
export async function checkCanaries(db: Database, keyring: Keys): Promise<CanaryProblem[]> {
  const known = await db.selectFrom('encryption_keys').selectAll().orderBy('id').execute()
  const problems: CanaryProblem[] = []
  for (const row of known) {
    const key = keyring.keys.find(({ id }) => id === row.id)
    if (key !== undefined && !opensCanary(key, row.canary_sealed)) {
      problems.push({ kind: 'wrong_key', keyId: row.id })
    }
    if (key !== undefined && row.retired_at !== null && row.id === keyring.currentKeyId) {
      problems.push({ kind: 'retired_key_seals', keyId: row.id })
    }
  }
  const held = keyring.keys.map(({ id }) => id)
  const missing = known.map(({ id }) => id).filter((id) => !held.includes(id))
  for (const keyId of missing) {
    const values = await countSealedBy(db, keyId)
    if (values > 0) problems.push({ kind: 'missing_key', keyId, values })
  }
  const values = await countSealedByOthers(db, [...held, ...missing])
  if (values > 0) problems.push({ kind: 'unknown_sealer', values })
  return problems
}

/**
 * Refuses to go on with a keyring that cannot open what is stored (`keyring.wrong_key`, `keyring.missing_key`,
 * `keyring.retired_key`), and notes the canary of each key that is new.
 */
export async function verifyCanaries(
  deps: { clock: Clock },
  db: Database,
  keyring: Keys,
): Promise<void> {
  const [problem] = await checkCanaries(db, keyring)
  if (problem !== undefined) throw canaryError(problem)
  for (const key of keyring.keys) await noteCanary(deps, db, key)
  // Another process may have noted another key under the same id meanwhile.
  const [since] = await checkCanaries(db, keyring)
  if (since !== undefined) throw canaryError(since)
}

export async function noteCanary(
  deps: { clock: Clock },
  db: Database,
  key: EncryptionKey,
): Promise<void> {
  await db
    .insertInto('encryption_keys')
    .values({
      id: key.id,
      canary_sealed: createKeyring([key]).seal(canaryText(key.id), canaryContext(key.id)),
      created_at: toIsoTime(deps.clock.now()),
      retired_at: null,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
}

/** The sentence of a problem, for the refusal to start and for the doctor. */
export function canaryError(problem: CanaryProblem): OperationError {
  const { code, state } = describeProblem(problem)
  return new OperationError(code, `Cannot use the keyring: ${state}`)
}

function describeProblem(problem: CanaryProblem): { code: string; state: string } {
  switch (problem.kind) {
    case 'wrong_key':
      return {
        code: 'keyring.wrong_key',
        state:
          `key "${problem.keyId}" is not the key of that name that sealed the stored secrets. ` +
          'Restore the keyring that belongs to this database',
      }
    case 'missing_key':
      return {
        code: 'keyring.missing_key',
        state:
          `${problem.values} stored secrets are sealed with key "${problem.keyId}", which is not in it. ` +
          'Add that key after the first one',
      }
    case 'retired_key_seals':
      return {
        code: 'keyring.retired_key',
        state: `key "${problem.keyId}" stands first and is retired. Put another key first`,
      }
    case 'unknown_sealer':
      return {
        code: 'keyring.missing_key',
        state:
          `${problem.values} stored secrets are sealed with a key that nothing is known of. ` +
          'Restore the keyring that belongs to this database',
      }
    default:
      return problem satisfies never
  }
}

function opensCanary(key: EncryptionKey, sealed: string): boolean {
  try {
    const text = createKeyring([key]).open(sealed, canaryContext(key.id)).reveal()
    return text === canaryText(key.id)
  } catch (error) {
    if (isOperationError(error)) return false
    throw error
  }
}

function canaryText(keyId: string): string {
  return `nanoscale canary ${keyId}`
}

function canaryContext(keyId: string): SealContext {
  return { organizationId: '', table: 'encryption_keys', column: 'canary_sealed', rowId: keyId }
}
