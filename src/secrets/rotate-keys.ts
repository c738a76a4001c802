import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Clock } from '../lib/clock.ts'
import { OperationError, isOperationError } from '../lib/errors.ts'
import { noteCanary } from './canaries.ts'
import { countToReseal } from './key-status.ts'
import type { InstanceKeyring } from './open-keyring.ts'
import {
  listSealedByOthers,
  replaceSealed,
  SEALED_COLUMNS,
  type SealedColumn,
  type SealedRow,
} from './sealed-columns.ts'

export interface RotationProgress {
  keyId: string
  resealed: number
  /** As counted at the beginning; values that are written meanwhile are sealed with the new key already. */
  total: number
}

interface RotationDeps {
  db: Database
  clock: Clock
  keyring: InstanceKeyring
}

/** Rows of one transaction: short enough that a request beside it waits for milliseconds. */
const BATCH = 100

/** A writer may have sealed with the old key just before the new one came, and stored it after we passed its row. */
const PASSES = 10

const rotating = new WeakSet<InstanceKeyring>()

/**
 * Seals every stored secret again with the first key. With a key file that key is a new one, unless an earlier rotation
 * did not come to its end: then that one is continued. Goes on beside readers and writers. Throws `keyring.busy`,
 * `keyring.not_all_resealed` (a value that no key opens), and `keyring.not_changeable` when the keys come from the
 * environment and the first one has sealed everything already.
 */
export async function rotateKeys(
  deps: RotationDeps,
  onProgress: (progress: RotationProgress) => void = () => {},
  signal?: AbortSignal,
): Promise<RotationProgress> {
  let last: RotationProgress = { keyId: deps.keyring.currentKeyId, resealed: 0, total: 0 }
  for await (const progress of rotateInBatches(deps, signal)) {
    last = progress
    onProgress(progress)
  }
  return last
}

/** The same, batch by batch: who stops asking stops the rotation, and the next one continues it. */
export async function* rotateInBatches(
  deps: RotationDeps,
  signal?: AbortSignal,
): AsyncGenerator<RotationProgress, void> {
  if (rotating.has(deps.keyring)) {
    throw new OperationError('keyring.busy', 'Cannot rotate the keys: a rotation is running')
  }
  rotating.add(deps.keyring)
  try {
    yield* rotate(deps, signal)
  } finally {
    rotating.delete(deps.keyring)
  }
}

async function* rotate(
  deps: RotationDeps,
  signal: AbortSignal | undefined,
): AsyncGenerator<RotationProgress, void> {
  if ((await countToReseal(deps)) === 0) await putNewKeyFirst(deps)
  const keyId = deps.keyring.currentKeyId
  const total = await countToReseal(deps)
  let resealed = 0
  yield { keyId, resealed, total }
  let unreadable: string[] = []
  for (let pass = 0; pass < PASSES && (await countToReseal(deps)) > unreadable.length; pass += 1) {
    unreadable = []
    for (const column of SEALED_COLUMNS) {
      for await (const outcome of resealColumn(deps, column, signal)) {
        resealed += outcome.resealed
        unreadable.push(...outcome.unreadable)
        yield { keyId, resealed, total }
      }
    }
  }
  const left = await countToReseal(deps)
  if (left === 0) return
  throw new OperationError(
    'keyring.not_all_resealed',
    `Cannot rotate all secrets: ${left} are still sealed with another key. ` +
      (unreadable.length > 0
        ? `No key opens ${unreadable.slice(0, 5).join(', ')}`
        : 'Rotate again'),
  )
}

async function putNewKeyFirst(deps: RotationDeps): Promise<void> {
  const known = await deps.db.selectFrom('encryption_keys').select('id').execute()
  await deps.keyring.addKey(known.map(({ id }) => id))
  const [key] = deps.keyring.keys
  if (key !== undefined) await noteCanary(deps, deps.db, key)
}

interface BatchOutcome {
  resealed: number
  unreadable: string[]
}

async function* resealColumn(
  deps: RotationDeps,
  column: SealedColumn,
  signal: AbortSignal | undefined,
): AsyncGenerator<BatchOutcome, void> {
  const { db, keyring } = deps
  let afterId = ''
  for (;;) {
    signal?.throwIfAborted()
    const rows = await listSealedByOthers(db, column, keyring.currentKeyId, {
      afterId,
      limit: BATCH,
    })
    const last = rows.at(-1)
    if (last === undefined) return
    afterId = last.id
    const { changed, unreadable } = sealAgain(keyring, column, rows)
    await inTransaction(db, async (tx) => {
      for (const { row, sealed } of changed) await replaceSealed(tx, column, row, sealed)
    })
    yield { resealed: changed.length, unreadable }
  }
}

function sealAgain(keyring: InstanceKeyring, { table, column }: SealedColumn, rows: SealedRow[]) {
  const changed: { row: SealedRow; sealed: string }[] = []
  const unreadable: string[] = []
  for (const row of rows) {
    const context = { organizationId: row.organizationId, table, column, rowId: row.id }
    try {
      const sealed = keyring.seal(keyring.open(row.sealed, context).reveal(), context)
      changed.push({ row, sealed })
    } catch (error) {
      // One damaged value must not keep all others on the old key.
      if (!isOperationError(error) || !error.code.startsWith('secrets.')) throw error
      unreadable.push(`${table}.${column} of row "${row.id}"`)
    }
  }
  return { changed, unreadable }
}
