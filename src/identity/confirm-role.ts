import type { Actor } from '../audit/actor.ts'
import { ROLES } from '../contract/permissions.ts'
import type { Database, Tx } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { readMembership } from './memberships.ts'

/**
 * Looks again whether who asks has at least this role. They had it when they were let in, and may have lost it since:
 * what outlives a role must not be made by somebody without it. The caller has locked the organization, so that nobody
 * takes the role before the transaction ends. The operator and what NanoScale does by itself have no role to lose.
 * Throws `member.role_lost`.
 */
export async function confirmRole(
  deps: { clock: Clock },
  tx: Tx,
  organizationId: string,
  asker: { by: Actor; atLeast: Role },
): Promise<void> {
  const { by, atLeast } = asker
  if (by.kind !== 'user' && by.kind !== 'token') return
  const role = await roleOf(deps, tx, organizationId, by)
  if (role !== null && ROLES.indexOf(role) >= ROLES.indexOf(atLeast)) return
  throw new OperationError(
    'member.role_lost',
    `Cannot do this any more: it needs the role ${atLeast}, which was taken from you meanwhile`,
  )
}

async function roleOf(
  deps: { clock: Clock },
  tx: Tx,
  organizationId: string,
  by: Actor,
): Promise<Role | null> {
  const id = by.id ?? ''
  if (by.kind === 'user') return await roleOfPerson(tx, organizationId, id)
  const token = await tx
    .selectFrom('api_tokens')
    .innerJoin('organizations', 'organizations.id', 'api_tokens.organization_id')
    .select('api_tokens.created_by_user_id')
    .where('api_tokens.id', '=', id)
    .where('organization_id', '=', organizationId)
    .where('revoked_at', 'is', null)
    .where('closed_at', 'is', null)
    .where((eb) =>
      eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', toIsoTime(deps.clock.now()))]),
    )
    .executeTakeFirst()
  if (token === undefined) return null
  // The operator made it: it may what an owner may.
  if (token.created_by_user_id === null) return 'owner'
  return await roleOfPerson(tx, organizationId, token.created_by_user_id)
}

async function roleOfPerson(
  db: Database | Tx,
  organizationId: string,
  userId: string,
): Promise<Role | null> {
  return (await readMembership(db, userId, { id: organizationId }))?.role ?? null
}
