import { createHash, randomBytes } from 'node:crypto'

import type { Selectable } from 'kysely'

import type { Database } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Principal } from './principal.ts'

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
    .select(['id', 'organization_id', 'name', 'expires_at', 'last_used_at', 'revoked_at'])
    .where('token_hash', '=', hashOf(token))
    .executeTakeFirst()
  if (row === undefined || row.revoked_at !== null) return null
  const now = deps.clock.now()
  if (row.expires_at !== null && row.expires_at <= toIsoTime(now)) return null
  if (row.last_used_at === null || row.last_used_at < toIsoTime(now - USE_RESOLUTION_MS)) {
    await deps.db
      .updateTable('api_tokens')
      .set({ last_used_at: toIsoTime(now) })
      .where('id', '=', row.id)
      .execute()
  }
  return {
    kind: 'token',
    organizationId: row.organization_id,
    tokenId: row.id,
    tokenName: row.name,
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
