import type { Tx } from '../database/database.ts'
import type { VariableScope } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { reasonAgainstVariableName } from './variable-name.ts'
import {
  readVariableRows,
  sealContextOf,
  type VariableKeyring,
  type VariableRow,
} from './variable-records.ts'

/** Undefined value or scope: as it was. */
export interface VariableChange {
  name: string
  value?: string | undefined
  scope?: VariableScope | undefined
}

/** A variable that is new or other than before. */
export interface StoredVariable {
  name: string
  before: VariableRow | undefined
  scope: VariableScope
}

/** One argument or variable of Linux has at most 128 KiB, all of them together a quarter of the stack. */
export const MAX_VALUE_BYTES = 65_536
const MAX_TOTAL_BYTES = 524_288
const MAX_VARIABLES = 500

/**
 * Stores variables of a project; those not named stay. Returns the rows that are new or other than before. Throws
 * `environment.invalid` that names the variable.
 */
export async function storeVariables(
  deps: { clock: Clock; newId: NewId; keyring: VariableKeyring },
  tx: Tx,
  project: { organizationId: string; projectId: string },
  changes: readonly VariableChange[],
): Promise<StoredVariable[]> {
  checkChanges(changes)
  const rows = new Map(
    (await readVariableRows(tx, project.projectId)).map((row) => [row.name, row]),
  )
  const stored: StoredVariable[] = []
  for (const change of changes) {
    const before = rows.get(change.name)
    if (before !== undefined && isUnchanged(deps.keyring, before, change)) continue
    const row = rowOf(deps, project, before, change)
    await tx
      .insertInto('environment_variables')
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(['project_id', 'name']).doUpdateSet({
          value_sealed: row.value_sealed,
          scope: row.scope,
          updated_at: row.updated_at,
        }),
      )
      .execute()
    rows.set(row.name, row)
    stored.push({ name: row.name, before, scope: row.scope })
  }
  refuseTooMuch([...rows.values()])
  return stored
}

function rowOf(
  deps: { clock: Clock; newId: NewId; keyring: VariableKeyring },
  project: { organizationId: string; projectId: string },
  before: VariableRow | undefined,
  change: VariableChange,
): VariableRow {
  const now = toIsoTime(deps.clock.now())
  const identity = { id: before?.id ?? deps.newId(), organization_id: project.organizationId }
  return {
    ...identity,
    project_id: project.projectId,
    name: change.name,
    value_sealed: sealedValue(deps.keyring, identity, before, change),
    scope: change.scope ?? before?.scope ?? 'both',
    created_at: before?.created_at ?? now,
    updated_at: now,
  }
}

function sealedValue(
  keyring: VariableKeyring,
  identity: { id: string; organization_id: string },
  before: VariableRow | undefined,
  change: VariableChange,
): string {
  if (change.value !== undefined) return keyring.seal(change.value, sealContextOf(identity))
  if (before !== undefined) return before.value_sealed
  throw invalid(change.name, 'it has no value yet, so one is required')
}

function isUnchanged(
  keyring: VariableKeyring,
  before: VariableRow,
  change: VariableChange,
): boolean {
  if (change.scope !== undefined && change.scope !== before.scope) return false
  if (change.value === undefined) return true
  try {
    return keyring.open(before.value_sealed, sealContextOf(before)).reveal() === change.value
  } catch {
    // A value that does not open any more is what a person repairs by setting it again.
    return false
  }
}

function checkChanges(changes: readonly VariableChange[]): void {
  const names = new Set<string>()
  for (const { name, value } of changes) {
    const reason = reasonAgainstVariableName(name)
    if (reason !== null) throw invalid(name, reason)
    if (names.has(name)) throw invalid(name, 'it is given twice')
    names.add(name)
    if (value?.includes('\0')) throw invalid(name, 'a value cannot contain NUL')
    if (value !== undefined && !value.isWellFormed()) throw invalid(name, 'it is not Unicode text')
    if (value !== undefined && Buffer.byteLength(value) > MAX_VALUE_BYTES) {
      throw invalid(name, `a value has at most ${MAX_VALUE_BYTES} bytes`)
    }
  }
}

function refuseTooMuch(rows: readonly VariableRow[]): void {
  const [first] = rows
  if (first === undefined) return
  if (rows.length > MAX_VARIABLES) {
    throw invalid(first.name, `a project has at most ${MAX_VARIABLES} variables`)
  }
  // Sealed text is a third larger than its value; near enough for a cap.
  const bytes = rows.reduce((sum, row) => sum + (row.value_sealed.length * 3) / 4, 0)
  if (bytes > MAX_TOTAL_BYTES) {
    throw invalid(first.name, `all values together have at most ${MAX_TOTAL_BYTES} bytes`)
  }
}

function invalid(name: string, reason: string): OperationError {
  const field = `environment.${name.slice(0, 100)}`
  return new OperationError(
    'environment.invalid',
    `Cannot set variable "${name.slice(0, 100)}": ${reason}`,
    { details: { [field]: [reason] } },
  )
}
