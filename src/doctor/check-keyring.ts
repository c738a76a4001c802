import type { Database } from '../database/database.ts'
import { OperationError, isOperationError, messageOf } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import { canaryError, checkCanaries } from '../secrets/canaries.ts'
import { openKeyring } from '../secrets/open-keyring.ts'
import { failed, ok, warning, type Finding } from './finding.ts'

interface KeyringSettings {
  encryptionKeys: Secret | null
  dataDirectory: string
}

/** Whether the keyring opens, and opens what this database holds. Changes nothing. */
export async function checkKeyring(config: KeyringSettings, db: Database | null): Promise<Finding> {
  try {
    const keyring = await openKeyring(config, { createMissing: false })
    const problems = db === null ? [] : await checkCanaries(db, keyring)
    const [problem] = problems
    if (problem !== undefined) throw canaryError(problem)
    return keyring.source === 'environment'
      ? ok('keyring', 'The keys come from NANOSCALE_ENCRYPTION_KEYS')
      : ok(
          'keyring',
          'The keys are in the data directory: keep a copy of keys/keyring apart from the backups',
        )
  } catch (error) {
    return await judgeFailure(error, db)
  }
}

async function judgeFailure(error: unknown, db: Database | null): Promise<Finding> {
  if (isOperationError(error, 'keyring.missing') && !(await hasKeys(db))) {
    return warning('keyring', 'There is no keyring yet', 'It is made by: nanoscale start')
  }
  const fix =
    error instanceof OperationError && error.code !== 'keyring.missing'
      ? 'See the message; docs/configuration.md describes the keyring'
      : 'Restore keys/keyring from your copy: nothing else opens the stored secrets'
  return failed('keyring', messageOf(error), fix)
}

async function hasKeys(db: Database | null): Promise<boolean> {
  if (db === null) return false
  const rows = await db.selectFrom('encryption_keys').select('id').limit(1).execute()
  return rows.length > 0
}
