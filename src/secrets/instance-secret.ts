import { randomBytes } from 'node:crypto'

import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { Keyring } from './keyring.ts'
import { INSTANCE } from './sealed-columns.ts'

/** What the instance signs with. They stay the same when the keys that seal them are rotated. */
export type InstanceSecretName = 'sign-in' | 'setup' | 'audit'

/**
 * 32 random bytes that this instance alone has, made when they are first asked for; the same ones for ever and for
 * every process of it. Throws what opening throws when they cannot be opened: never other bytes.
 */
export async function readInstanceSecret(
  deps: { db: Database; clock: Clock; keyring: Pick<Keyring, 'seal' | 'open'> },
  name: InstanceSecretName,
): Promise<Buffer> {
  const context = {
    organizationId: INSTANCE,
    table: 'instance_secrets',
    column: 'value_sealed',
    rowId: name,
  }
  const made = deps.keyring.seal(randomBytes(32).toString('base64'), context)
  await deps.db
    .insertInto('instance_secrets')
    .values({ id: name, value_sealed: made, created_at: toIsoTime(deps.clock.now()) })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
  const row = await deps.db
    .selectFrom('instance_secrets')
    .select('value_sealed')
    .where('id', '=', name)
    .executeTakeFirstOrThrow()
  return Buffer.from(deps.keyring.open(row.value_sealed, context).reveal(), 'base64')
}
