import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { hashToken } from './hash-token.ts'
import { readMembership } from './memberships.ts'
import { readOrganization } from './organizations.ts'
import type { Membership, Principal } from './principal.ts'

const TOKEN = /^nsk_[A-Za-z0-9_-]{43}$/

/** Use of a token is stored this coarsely, so that reading the API writes hardly ever. */
const USE_RESOLUTION_MS = 5 * 60_000

/** Who bears this token; null for one that is unknown, expired or revoked, without telling which. */
export async function authenticateToken(
  deps: { db: Database; clock: Clock },
  token: string,
): Promise<Principal | null> {
  if (!TOKEN.test(token)) return null
  const row = await deps.db
    .selectFrom('api_tokens')
    .select(['id', 'name', 'organization_id', 'created_by_user_id', 'scopes'])
    .select(['expires_at', 'revoked_at', 'last_used_at'])
    .where('token_hash', '=', hashToken(token))
    .executeTakeFirst()
  if (row === undefined || row.revoked_at !== null) return null
  const now = deps.clock.now()
  if (row.expires_at !== null && row.expires_at <= toIsoTime(now)) return null
  const membership = await membershipOfToken(deps.db, row)
  if (membership === null) return null
  if (row.last_used_at === null || row.last_used_at < toIsoTime(now - USE_RESOLUTION_MS)) {
    await deps.db
      .updateTable('api_tokens')
      .set({ last_used_at: toIsoTime(now) })
      .where('id', '=', row.id)
      .execute()
  }
  return {
    kind: 'token',
    tokenId: row.id,
    tokenName: row.name,
    userId: row.created_by_user_id,
    scopes: row.scopes,
    membership,
  }
}

/** What the maker of the token may now; the operator's tokens may what an owner may. */
async function membershipOfToken(
  db: Database,
  token: { organization_id: string; created_by_user_id: string | null },
): Promise<Membership | null> {
  const organizationId = token.organization_id
  if (token.created_by_user_id !== null) {
    return await readMembership(db, token.created_by_user_id, { id: organizationId })
  }
  const { closed_at } = await readOrganization(db, organizationId)
  return closed_at === null ? { organizationId, role: 'owner', reach: { kind: 'all' } } : null
}
