import type { Database } from '../database/database.ts'
import type { HookKind } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'
import type { HookSecrets } from './verify-signature.ts'

/** What an address names: a hook by its public id, or the hook of the App from the environment. */
export type HookName = { publicId: string } | 'environment'

export interface Hook {
  id: string
  organizationId: string | null
  kind: HookKind
  integrationId: string | null
  secrets: HookSecrets
}

interface FindDeps {
  db: Database
  clock: Clock
  keyring: Pick<Keyring, 'open'>
}

/**
 * The hook that may call here, with its secrets; null when there is none. The hook says whose deliveries it takes: what
 * headers say about the sender is not signed.
 */
export async function findHook(deps: FindDeps, name: HookName): Promise<Hook | null> {
  const query = deps.db
    .selectFrom('hooks')
    .innerJoin('integrations', 'integrations.id', 'hooks.integration_id')
    .select([
      'hooks.id',
      'hooks.organization_id',
      'hooks.kind',
      'hooks.integration_id',
      'hooks.secret_sealed',
      'hooks.previous_secret_sealed',
      'hooks.previous_secret_until',
    ])
    .where('integrations.type', '=', 'github')
    .where('hooks.state', 'not in', ['removing', 'removed'])
  const row = await (
    name === 'environment'
      ? query
          .where('hooks.organization_id', 'is', null)
          .where('hooks.kind', '=', 'app')
          .orderBy('hooks.created_at', 'desc')
          .limit(1)
      : query.where('hooks.public_id', '=', name.publicId)
  ).executeTakeFirst()
  if (row === undefined) return null
  const previousCounts =
    row.previous_secret_until !== null && row.previous_secret_until > toIsoTime(deps.clock.now())
  const open = (column: string, sealed: string) =>
    deps.keyring.open(sealed, { organizationId: INSTANCE, table: 'hooks', column, rowId: row.id })
  return {
    id: row.id,
    organizationId: row.organization_id,
    kind: row.kind,
    integrationId: row.integration_id,
    secrets: {
      current: open('secret_sealed', row.secret_sealed),
      previous:
        previousCounts && row.previous_secret_sealed !== null
          ? open('previous_secret_sealed', row.previous_secret_sealed)
          : null,
    },
  }
}
