import { z } from 'zod'

import { isUniqueViolation } from '../database/database-errors.ts'
import type { Database, Tx } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'

export interface Person {
  id: string
  /** Lower case. */
  email: string
  name: string
  two_factor_enabled: boolean
  created_at: string
}

/** The provider id of accounts with a password. Their account id is the user's id. */
export const CREDENTIAL = 'credential'

const COLUMNS = ['id', 'email', 'name', 'two_factor_enabled', 'created_at'] as const
/** The longest address that mail knows. */
const emailAddress = z.email().max(254)

/**
 * Makes a person, who can sign in with a password when a hash (of `SignIn.hashPassword`) is given. Throws
 * `person.email_invalid` or `person.email_taken`; after the latter the transaction cannot go on.
 */
export async function createPerson(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  person: { email: string; name: string; passwordHash: string | null },
): Promise<{ id: string }> {
  const email = normalizeEmail(person.email)
  const now = toIsoTime(deps.clock.now())
  const id = deps.newId()
  try {
    await tx
      .insertInto('users')
      .values({
        id,
        clerk_user_id: null,
        email,
        name: person.name,
        first_name: null,
        last_name: null,
        email_verified: false,
        image: null,
        two_factor_enabled: false,
        clerk_primary_email: null,
        deleted_at: null,
        created_at: now,
        updated_at: now,
      })
      .execute()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw new OperationError(
      'person.email_taken',
      `Cannot add "${email}": somebody with this e-mail address exists. Sign in as them instead`,
      { cause: error },
    )
  }
  if (person.passwordHash !== null) {
    await addCredential(deps, tx, { userId: id, passwordHash: person.passwordHash, now })
  }
  return { id }
}

async function addCredential(
  deps: { newId: NewId },
  tx: Tx,
  account: { userId: string; passwordHash: string; now: string },
): Promise<void> {
  await tx
    .insertInto('accounts')
    .values({
      id: deps.newId(),
      user_id: account.userId,
      provider_id: CREDENTIAL,
      account_id: account.userId,
      password: account.passwordHash,
      access_token: null,
      refresh_token: null,
      id_token: null,
      access_token_expires_at: null,
      refresh_token_expires_at: null,
      scope: null,
      created_at: account.now,
      updated_at: account.now,
    })
    .execute()
}

/** An address as it is stored and compared: trimmed, lower case. Throws `person.email_invalid`. */
export function normalizeEmail(email: string): string {
  const normal = email.trim().toLowerCase()
  if (emailAddress.safeParse(normal).success) return normal
  throw new OperationError('person.email_invalid', `Cannot use "${email}": it is no e-mail address`)
}

/** The person with this address in any case; nobody who was deleted. */
export function findPersonByEmail(db: Database | Tx, email: string): Promise<Person | undefined> {
  return db
    .selectFrom('users')
    .select(COLUMNS)
    .where('email', '=', email.trim().toLowerCase())
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

/** The person with this id; nobody who was deleted. */
export function readPerson(db: Database | Tx, id: string): Promise<Person | undefined> {
  return db
    .selectFrom('users')
    .select(COLUMNS)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}
