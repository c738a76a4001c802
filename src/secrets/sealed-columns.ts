import { sql, type RawBuilder } from 'kysely'

import type { Database, Tx } from '../database/database.ts'
import { prefixOf } from './seal-format.ts'

/**
 * Every column that holds sealed values, but the canaries. A column that is missing here would be unreadable once the
 * old key is retired: a test compares this list with the schema.
 */
export const SEALED_COLUMNS = [
  { table: 'environment_variables', column: 'value_sealed' },
  { table: 'deployments', column: 'configuration_sealed' },
  { table: 'instance_secrets', column: 'value_sealed', of: 'instance' },
  { table: 'oauth_states', column: 'request_sealed', of: 'instance' },
  // An App may serve several organizations, a person's account too: these are the instance's.
  { table: 'integration_credentials', column: 'value_sealed', of: 'instance' },
  { table: 'github_user_links', column: 'access_token_sealed', of: 'instance' },
  { table: 'github_user_links', column: 'refresh_token_sealed', of: 'instance' },
  { table: 'hooks', column: 'secret_sealed', of: 'instance' },
  { table: 'hooks', column: 'previous_secret_sealed', of: 'instance' },
  { table: 'webhook_deliveries', column: 'body_sealed', of: 'instance' },
] as const satisfies readonly SealedColumn[]

export interface SealedColumn {
  table: string
  column: string
  /** Its rows belong to no organization: they are sealed in the name of the instance. */
  of?: 'instance'
}

/** Stands for an organization's id where a sealed value belongs to the instance. */
export const INSTANCE = 'instance'

export interface SealedRow {
  id: string
  organizationId: string
  sealed: string
}

/** Rows of one column that another key than `keyId` sealed, in order of their ids, from `afterId` on. */
export async function listSealedByOthers(
  db: Database,
  { table, column, of }: SealedColumn,
  keyId: string,
  page: { afterId: string; limit: number },
): Promise<SealedRow[]> {
  const prefix = prefixOf(keyId)
  const result = await sql<{ id: string; organization_id: string; sealed: string }>`
    select id, ${of === 'instance' ? sql.lit(INSTANCE) : sql.ref('organization_id')} as organization_id,
      ${sql.ref(column)} as sealed from ${sql.table(table)}
    where ${sql.ref(column)} is not null
      and substr(${sql.ref(column)}, 1, ${prefix.length}) <> ${prefix}
      and id > ${page.afterId}
    order by id limit ${page.limit}`.execute(db)
  return result.rows.map((row) => ({
    id: row.id,
    organizationId: row.organization_id,
    sealed: row.sealed,
  }))
}

/** Stores a value that was sealed again, unless somebody wrote another one meanwhile: theirs is newer. */
export async function replaceSealed(
  tx: Tx,
  { table, column }: SealedColumn,
  row: SealedRow,
  sealed: string,
): Promise<void> {
  await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${sealed}
    where id = ${row.id} and ${sql.ref(column)} = ${row.sealed}`.execute(tx)
}

/** How many stored values this key sealed. */
export async function countSealedBy(db: Database, keyId: string): Promise<number> {
  return await countRows(db, (column) => sql`${headOf(column, keyId)} = ${prefixOf(keyId)}`)
}

/** How many stored values none of these keys sealed. */
export async function countSealedByOthers(
  db: Database,
  keyIds: readonly string[],
): Promise<number> {
  return await countRows(db, (column) => {
    const others = keyIds.map((keyId) => sql`${headOf(column, keyId)} <> ${prefixOf(keyId)}`)
    return others.length === 0 ? sql`1 = 1` : sql.join(others, sql` and `)
  })
}

async function countRows(
  db: Database,
  condition: (column: string) => RawBuilder<unknown>,
): Promise<number> {
  let sum = 0
  for (const { table, column } of SEALED_COLUMNS) {
    const result = await sql<{ amount: number }>`select count(*) as amount from ${sql.table(table)}
      where ${sql.ref(column)} is not null and ${condition(column)}`.execute(db)
    sum += result.rows[0]?.amount ?? 0
  }
  return sum
}

/** As long as the prefix; not LIKE, for which the `_` of an id is any character. */
function headOf(column: string, keyId: string): RawBuilder<unknown> {
  return sql`substr(${sql.ref(column)}, 1, ${prefixOf(keyId).length})`
}
