import type { Selectable } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import type { Schema, VariableScope } from '../database/schema.ts'
import type { Keyring } from '../secrets/keyring.ts'
import type { SealContext } from '../secrets/seal-format.ts'
import type { Secret } from '../secrets/secret.ts'

export type VariableKeyring = Pick<Keyring, 'seal' | 'open'>
export type VariableRow = Selectable<Schema['environment_variables']>

/** A variable without its value: values are write-only. */
export type Variable = Pick<VariableRow, 'name' | 'scope' | 'updated_at'>

/** A variable as a build or an app is given it. */
export interface OpenVariable {
  name: string
  value: Secret
  scope: VariableScope
}

export function listVariables(db: Database | Tx, projectId: string): Promise<Variable[]> {
  return db
    .selectFrom('environment_variables')
    .select(['name', 'scope', 'updated_at'])
    .where('project_id', '=', projectId)
    .orderBy('name')
    .execute()
}

export function readVariableRows(db: Database | Tx, projectId: string): Promise<VariableRow[]> {
  return db
    .selectFrom('environment_variables')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('name')
    .execute()
}

/** All variables of a project with their values. Throws what `keyring.open` throws: never an empty value instead. */
export async function openVariables(
  keyring: Pick<Keyring, 'open'>,
  db: Database | Tx,
  projectId: string,
): Promise<OpenVariable[]> {
  const rows = await readVariableRows(db, projectId)
  return rows.map((row) => ({
    name: row.name,
    scope: row.scope,
    value: keyring.open(row.value_sealed, sealContextOf(row)),
  }))
}

/** Binds a sealed value to its row: moved to another, it does not open. */
export function sealContextOf(row: Pick<VariableRow, 'id' | 'organization_id'>): SealContext {
  return {
    organizationId: row.organization_id,
    table: 'environment_variables',
    column: 'value_sealed',
    rowId: row.id,
  }
}
