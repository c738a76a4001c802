import type { Actor } from '../../audit/actor.ts'
import type { Database, Tx } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { NewId } from '../../lib/ids.ts'
import { CREDENTIAL, type Person } from '../people.ts'
import { auditPerson } from '../sign-in/sign-in-deps.ts'

/** One that a person can sign in with at an identity provider. */
export interface Identity {
  id: string
  issuer: string
  subject: string
  linked_at: string
}

/** A person's identities, oldest first; the password is none. */
export function listIdentities(db: Database | Tx, userId: string): Promise<Identity[]> {
  return db
    .selectFrom('accounts')
    .select(['id', 'provider_id as issuer', 'account_id as subject', 'created_at as linked_at'])
    .where('user_id', '=', userId)
    .where('provider_id', '!=', CREDENTIAL)
    .orderBy('id')
    .limit(200)
    .execute()
}

/** Whose identity this is, deleted people included; undefined when it is nobody's. E-mail addresses are no identity. */
export function findPersonByIdentity(
  db: Database | Tx,
  identity: { issuer: string; subject: string },
): Promise<{ id: string; email: string; deleted_at: string | null } | undefined> {
  return db
    .selectFrom('accounts as account')
    .innerJoin('users as user', 'user.id', 'account.user_id')
    .select(['user.id', 'user.email', 'user.deleted_at'])
    .where('account.provider_id', '=', identity.issuer)
    .where('account.account_id', '=', identity.subject)
    .executeTakeFirst()
}

/** Adds a way to sign in. Fails with a unique violation when the identity is somebody's already. */
export async function addIdentity(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  link: { person: Pick<Person, 'id' | 'email'>; issuer: string; subject: string; by: Actor },
): Promise<void> {
  const { person, issuer, subject, by } = link
  const now = toIsoTime(deps.clock.now())
  await tx
    .insertInto('accounts')
    .values({
      id: deps.newId(),
      user_id: person.id,
      provider_id: issuer,
      account_id: subject,
      password: null,
      access_token: null,
      refresh_token: null,
      id_token: null,
      access_token_expires_at: null,
      refresh_token_expires_at: null,
      scope: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
  const details = { issuer, subject }
  await auditPerson(deps, tx, { person, by, action: 'identity.linked', details })
}

/**
 * Takes a way to sign in away. Throws `identity.not_found` for one that this person does not have, and
 * `identity.last_way_in` when nothing would be left: a password, or another identity at `usableIssuer`.
 */
export async function removeIdentity(
  deps: { db: Database; clock: Clock; newId: NewId },
  removal: { userId: string; identityId: string; usableIssuer: string | null; by: Actor },
): Promise<void> {
  const { userId, identityId } = removal
  await inTransaction(deps.db, async (tx) => {
    // Of two removals at the same time the second one waits here, and counts what the first one left.
    const person = await tx
      .updateTable('users')
      .set({ updated_at: toIsoTime(deps.clock.now()) })
      .where('id', '=', userId)
      .returning(['id', 'email'])
      .executeTakeFirstOrThrow()
    const accounts = await tx
      .selectFrom('accounts')
      .select(['id', 'provider_id', 'account_id', 'password'])
      .where('user_id', '=', userId)
      .execute()
    const identity = accounts.find(({ id }) => id === identityId)
    if (identity === undefined || identity.provider_id === CREDENTIAL) {
      throw new OperationError(
        'identity.not_found',
        'Cannot find this identity: you have none of this id',
      )
    }
    const others = accounts.filter(({ id }) => id !== identityId)
    if (!others.some((account) => isWayIn(account, removal.usableIssuer))) {
      throw new OperationError(
        'identity.last_way_in',
        `Cannot unlink "${identity.provider_id}": it is your only way to sign in. Set a password first`,
      )
    }
    await tx.deleteFrom('accounts').where('id', '=', identityId).execute()
    const details = { issuer: identity.provider_id, subject: identity.account_id }
    const { by } = removal
    await auditPerson(deps, tx, { person, by, action: 'identity.unlinked', details })
  })
}

function isWayIn(
  account: { provider_id: string; password: string | null },
  usableIssuer: string | null,
): boolean {
  return account.provider_id === CREDENTIAL
    ? account.password !== null
    : account.provider_id === usableIssuer
}
