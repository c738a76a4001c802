import { createHash } from 'node:crypto'

import type { Database, Tx } from '../../database/database.ts'

/** What links to choose a new password are called in the database, before their hash. */
const RESET = 'reset~'
const OTHER = 'other~'

/**
 * How an identifier of the sign-in library, which ends in a random secret, is stored: what it is for, then its hash. The
 * library also looks for identifiers as they were given, and its own never begin like these: so what the database holds
 * is not itself a way in.
 */
export function hashIdentifier(identifier: string): string {
  const hash = createHash('sha256').update(identifier).digest('hex')
  return `${identifier.startsWith('reset-password:') ? RESET : OTHER}${hash}`
}

/** Links to choose a new password of this person do not work any more. */
export async function deleteResetLinks(tx: Tx | Database, userId: string): Promise<void> {
  await tx
    .deleteFrom('verifications')
    .where('value', '=', userId)
    .where('identifier', 'like', `${RESET}%`)
    .execute()
}

/** Nothing that this person began goes on: reset links, and sign-ins that wait for the second factor. */
export async function deleteVerifications(tx: Tx | Database, userId: string): Promise<void> {
  await tx.deleteFrom('verifications').where('value', '=', userId).execute()
}
