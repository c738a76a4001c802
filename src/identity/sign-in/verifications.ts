import { createHash } from 'node:crypto'

import type { Database, Tx } from '../../database/database.ts'

/** What links to choose a new password are called in the database, before their hash. */
const RESET = { mailed: 'reset~', passed_on: 'reset-all~' } as const
const OTHER = 'other~'
const RESET_PASSWORD = 'reset-password:'

/** Begins tokens of links that end the second factor too. Changing a token makes it another one, which nobody made. */
export const ENDS_SECOND_FACTOR = 'all_'

/** `mailed` proves a mailbox; `passed_on` is by an owner or the operator, and ends the second factor too. */
export type ResetLinkKind = keyof typeof RESET

/**
 * How an identifier of the sign-in library, which ends in a random secret, is stored: what it is for, then its hash. The
 * library also looks for identifiers as they were given, and its own never begin like these: so what the database holds
 * is not itself a way in.
 */
export function hashIdentifier(identifier: string): string {
  const hash = createHash('sha256').update(identifier).digest('hex')
  return `${beginningOf(identifier)}${hash}`
}

function beginningOf(identifier: string): string {
  if (!identifier.startsWith(RESET_PASSWORD)) return OTHER
  const ends = identifier.startsWith(`${RESET_PASSWORD}${ENDS_SECOND_FACTOR}`)
  return ends ? RESET.passed_on : RESET.mailed
}

/** As the sign-in library names the link with this token. */
export function resetIdentifier(token: string): string {
  return `${RESET_PASSWORD}${token}`
}

/** Links of these kinds to choose a new password of this person do not work any more. */
export async function deleteResetLinks(
  tx: Tx | Database,
  userId: string,
  kinds: readonly ResetLinkKind[],
): Promise<void> {
  await tx
    .deleteFrom('verifications')
    .where('value', '=', userId)
    .where((eb) => eb.or(kinds.map((kind) => eb('identifier', 'like', `${RESET[kind]}%`))))
    .execute()
}

/** Nothing that this person began goes on: reset links, and sign-ins that wait for the second factor. */
export async function deleteVerifications(tx: Tx | Database, userId: string): Promise<void> {
  await tx.deleteFrom('verifications').where('value', '=', userId).execute()
}
