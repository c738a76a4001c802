import { createHash, randomBytes } from 'node:crypto'

import type { Selectable } from 'kysely'

import type { Database } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { readMembership } from './memberships.ts'
import { readOrganization } from './organizations.ts'
import type { Membership, Principal } from './principal.ts'

type ApiTokenRow = Selectable<Schema['api_tokens']>
export type ApiToken = Omit<ApiTokenRow, 'token_hash' | 'organization_id'>

const TOKEN = /^nsk_[A-Za-z0-9_-]{43}$/
const COLUMNS = [
  'id',
  'name',
  'hint',
  'created_at',
  'expires_at',
  'last_used_at',
  'revoked_at',
  'created_by_user_id',
  'scopes',
] as const
const DAY_MS = 86_400_000

/** Use of a token is stored this coarsely, so that reading the API writes hardly ever. */
const USE_RESOLUTION_MS = 5 * 60_000

/** Makes a token of an organization. The token itself is in this answer alone: the database has its hash. */
export async function createApiToken(
  deps: { db: Database; clock: Clock; newId: NewId },
  options: { organizationId: string; name: string; expiresInDays: number | null },
): Promise<{ record: ApiToken; token: string }> {
  const token = `nsk_${randomBytes(32).toString('base64url')}`
  const now = deps.clock.now()
  const record: ApiToken = {
    id: deps.newId(),
    name: options.name,
    hint: token.slice(-4),
    created_at: toIsoTime(now),
    expires_at:
      options.expiresInDays === null ? null : toIsoTime(now + options.expiresInDays * DAY_MS),
    last_used_at: null,
    revoked_at: null,
    created_by_user_id: null,
    scopes: ['*'],
  }
  await deps.db
    .insertInto('api_tokens')
    .values({ ...record, organization_id: options.organizationId, token_hash: hashOf(token) })
    .execute()
  return { record, token }
}

/** Tokens of an organization after `cursor`, oldest first; revoked ones too. */
export function listApiTokens(
  db: Database,
  organizationId: string,
  page: { after: string | null; limit: number },
): Promise<ApiToken[]> {
  return db
    .selectFrom('api_tokens')
    .select(COLUMNS)
    .where('organization_id', '=', organizationId)
    .where('id', '>', page.after ?? '')
    .orderBy('id')
    .limit(page.limit)
    .execute()
}

/** Ends a token at once. One that was revoked before stays so. Throws `token.not_found`. */
export async function revokeApiToken(
  deps: { db: Database; clock: Clock },
  organizationId: string,
  id: string,
): Promise<void> {
  const result = await deps.db
    .updateTable('api_tokens')
    .set((eb) => ({
      revoked_at: eb.fn.coalesce('revoked_at', eb.val(toIsoTime(deps.clock.now()))),
    }))
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .executeTakeFirst()
  if (result.numUpdatedRows === 0n) {
    throw new OperationError('token.not_found', `Cannot find token "${id}"`)
  }
}

/** Who bears this token; null for one that is unknown, expired or revoked, without telling which. */
export async function authenticateToken(
  deps: { db: Database; clock: Clock },
  token: string,
): Promise<Principal | null> {
  if (!TOKEN.test(token)) return null
  const row = await deps.db
    .selectFrom('api_tokens')
    .select([...COLUMNS, 'organization_id'])
    .where('token_hash', '=', hashOf(token))
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

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
