import { randomBytes } from 'node:crypto'

import type { Database, Tx } from '../database/database.ts'
import type { HookState, HookTable } from '../database/webhook-tables.ts'
import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'
import type { IntegrationDeps } from './integration-deps.ts'

/** GitHub delivers again for three days (seven on a server of one's own), perhaps signed with the secret of then. */
export const REDELIVERY_WINDOW_MS = 7 * 24 * 60 * 60 * 1000

type Deps = Pick<IntegrationDeps, 'clock' | 'newId' | 'keyring'>

/** 256 random bits, for the URL of a hook or as its secret. */
export function randomHookValue(): string {
  return randomBytes(32).toString('base64url')
}

/** The row of an App's hook, with a secret that nobody knows yet. */
export function prepareAppHook(
  deps: Deps,
  hook: { organizationId: string | null; integrationId: string; state: HookState },
): HookTable {
  const id = deps.newId()
  const now = toIsoTime(deps.clock.now())
  return {
    id,
    organization_id: hook.organizationId,
    public_id: randomHookValue(),
    kind: 'app',
    integration_id: hook.integrationId,
    repository_id: null,
    host_hook_id: null,
    secret_sealed: sealHookSecret(deps, id, new Secret(randomHookValue())),
    previous_secret_sealed: null,
    previous_secret_until: null,
    state: hook.state,
    error_message: null,
    last_delivery_at: null,
    swept_at: null,
    created_at: now,
    updated_at: now,
  }
}

export type AppHook = Pick<HookTable, 'id' | 'public_id' | 'secret_sealed' | 'state'>

/** The hook of an App; each App of ours has one. */
export async function readAppHook(db: Database | Tx, integrationId: string): Promise<AppHook> {
  const row = await db
    .selectFrom('hooks')
    .select(['id', 'public_id', 'secret_sealed', 'state'])
    .where('integration_id', '=', integrationId)
    .where('kind', '=', 'app')
    .executeTakeFirst()
  if (row !== undefined) return row
  throw new OperationError(
    'integration.not_found',
    `Cannot find the hook of integration "${integrationId}"`,
  )
}

export function openHookSecret({ keyring }: Pick<Deps, 'keyring'>, hook: AppHook): Secret {
  return keyring.open(hook.secret_sealed, contextOf(hook.id, 'secret_sealed'))
}

export function sealHookSecret(
  { keyring }: Pick<Deps, 'keyring'>,
  hookId: string,
  secret: Secret,
): string {
  return keyring.seal(secret.reveal(), contextOf(hookId, 'secret_sealed'))
}

/**
 * From now on `secret` is good; the one before it stays good for the time in which GitHub delivers again. False when
 * another secret came in the place of the hook's meanwhile: `secret` is not good then.
 */
export async function replaceHookSecret(
  deps: Pick<IntegrationDeps, 'db' | 'clock' | 'keyring'>,
  hook: AppHook,
  secret: Secret,
): Promise<boolean> {
  const { keyring } = deps
  const previous = openHookSecret(deps, hook).reveal()
  const now = deps.clock.now()
  const { numUpdatedRows } = await deps.db
    .updateTable('hooks')
    .set({
      secret_sealed: sealHookSecret(deps, hook.id, secret),
      previous_secret_sealed: keyring.seal(previous, contextOf(hook.id, 'previous_secret_sealed')),
      previous_secret_until: toIsoTime(now + REDELIVERY_WINDOW_MS),
      updated_at: toIsoTime(now),
    })
    .where('id', '=', hook.id)
    .where('secret_sealed', '=', hook.secret_sealed)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

function contextOf(rowId: string, column: 'secret_sealed' | 'previous_secret_sealed') {
  return { organizationId: INSTANCE, table: 'hooks', column, rowId }
}
