import type { Database, Tx } from '../database/database.ts'
import type { CredentialKind, IntegrationCredentialTable } from '../database/integration-tables.ts'
import { toIsoTime } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'
import type { IntegrationDeps } from './integration-deps.ts'

type SealDeps = Pick<IntegrationDeps, 'clock' | 'newId' | 'keyring'>

/** A row for `integration_credentials`, sealed; to be made before a transaction begins. */
export function sealCredential(
  deps: SealDeps,
  integrationId: string,
  kind: CredentialKind,
  value: Secret,
): IntegrationCredentialTable {
  const id = deps.newId()
  const now = toIsoTime(deps.clock.now())
  return {
    id,
    integration_id: integrationId,
    kind,
    value_sealed: deps.keyring.seal(value.reveal(), contextOf(id)),
    expires_at: null,
    created_at: now,
    updated_at: now,
  }
}

/** Puts rows in the place of those of the same kinds. */
export async function replaceCredentials(
  tx: Tx,
  integrationId: string,
  rows: readonly IntegrationCredentialTable[],
): Promise<void> {
  const kinds = rows.map(({ kind }) => kind)
  await tx
    .deleteFrom('integration_credentials')
    .where('integration_id', '=', integrationId)
    .where('kind', 'in', kinds)
    .execute()
  await tx
    .insertInto('integration_credentials')
    .values([...rows])
    .execute()
}

export interface AppCredentials {
  clientSecret: Secret | null
  /** The newest first; two at most. */
  privateKeys: Secret[]
}

/** What an App made by a manifest speaks with. */
export async function openCredentials(
  { db, keyring }: { db: Database; keyring: Pick<IntegrationDeps['keyring'], 'open'> },
  integrationId: string,
): Promise<AppCredentials> {
  const rows = await db
    .selectFrom('integration_credentials')
    .select(['id', 'kind', 'value_sealed'])
    .where('integration_id', '=', integrationId)
    .execute()
  const open = (kind: CredentialKind) =>
    rows
      .filter((row) => row.kind === kind)
      .map((row) => keyring.open(row.value_sealed, contextOf(row.id)))
  return {
    clientSecret: open('client_secret')[0] ?? null,
    privateKeys: [...open('private_key'), ...open('previous_private_key')],
  }
}

function contextOf(rowId: string) {
  return {
    organizationId: INSTANCE,
    table: 'integration_credentials',
    column: 'value_sealed',
    rowId,
  }
}
