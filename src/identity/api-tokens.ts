import { randomBytes } from 'node:crypto'

import type { Selectable } from 'kysely'

import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { confirmRole } from './confirm-role.ts'
import { hashToken } from './hash-token.ts'
import { lockOrganization } from './organizations.ts'
import { exceedsMaker, planExpiry, planScopes } from './plan-token.ts'

type ApiTokenRow = Selectable<Schema['api_tokens']>
export type ApiToken = Omit<ApiTokenRow, 'token_hash' | 'organization_id' | 'parent_token_id'>

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
/** Valid ones that one maker has in one organization. */
const MAX_TOKENS = 100

/** Who makes a token. */
export interface TokenMaker {
  /** Null: the operator. */
  userId: string | null
  /** The token that makes it, which gives no more than it has. */
  token: { id: string } | null
  by: Actor
}

interface TokenRequest {
  name: string
  /** Undefined: never, or when the token that makes it expires. */
  expiresInDays?: number | null | undefined
  /** Undefined: all that the maker may. */
  scopes?: readonly string[] | undefined
}

/**
 * Makes a token of an organization. The token itself is in this answer alone: the database has its hash. Throws
 * `token.exceeds_maker`, `token.too_many`, `member.role_lost`.
 */
export async function createApiToken(
  deps: { db: Database; clock: Clock; newId: NewId },
  organizationId: string,
  input: TokenRequest & { maker: TokenMaker },
): Promise<{ record: ApiToken; token: string }> {
  const { maker, name } = input
  const token = `nsk_${randomBytes(32).toString('base64url')}`
  const token_hash = hashToken(token)
  return await inTransaction(deps.db, async (tx) => {
    // Whoever revokes the token that asks, or ends its maker's membership, finds this one too.
    await lockOrganization(tx, organizationId)
    await confirmRole(deps, tx, organizationId, { by: maker.by, atLeast: 'viewer' })
    const limits = await limitsOf(tx, maker)
    await refuseTooMany(deps, tx, organizationId, maker.userId)
    const now = deps.clock.now()
    const record: ApiToken = {
      id: deps.newId(),
      name,
      hint: token.slice(-4),
      created_at: toIsoTime(now),
      expires_at: planExpiry(input.expiresInDays, limits.expiresAt, now),
      last_used_at: null,
      revoked_at: null,
      created_by_user_id: maker.userId,
      scopes: planScopes(input.scopes, limits.scopes),
    }
    await tx
      .insertInto('api_tokens')
      .values({
        ...record,
        organization_id: organizationId,
        token_hash,
        parent_token_id: maker.token?.id ?? null,
      })
      .execute()
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: maker.by,
      action: 'token.created',
      target: { kind: 'token', id: record.id, name },
      details: { scopes: record.scopes, expires_at: record.expires_at },
    })
    return { record, token }
  })
}

async function limitsOf(
  tx: Tx,
  maker: TokenMaker,
): Promise<{ scopes: readonly string[]; expiresAt: string | null }> {
  if (maker.token === null) return { scopes: ['*'], expiresAt: null }
  const row = await tx
    .selectFrom('api_tokens')
    .select(['expires_at', 'scopes'])
    .where('id', '=', maker.token.id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined) throw exceedsMaker('scopes', 'the token that asks was revoked')
  return { scopes: row.scopes, expiresAt: row.expires_at }
}

async function refuseTooMany(
  deps: { clock: Clock },
  tx: Tx,
  organizationId: string,
  userId: string | null,
): Promise<void> {
  const { count } = await tx
    .selectFrom('api_tokens')
    .select((eb) => eb.fn.countAll<number | bigint | string>().as('count'))
    .where('organization_id', '=', organizationId)
    .where('created_by_user_id', userId === null ? 'is' : '=', userId)
    .where('revoked_at', 'is', null)
    .where((eb) =>
      eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', toIsoTime(deps.clock.now()))]),
    )
    .executeTakeFirstOrThrow()
  if (Number(count) < MAX_TOKENS) return
  throw new OperationError(
    'token.too_many',
    `Cannot create a token: you have ${MAX_TOKENS} valid ones here; revoke one that is not used`,
  )
}

/** Whose tokens: everybody's, or those of one maker (null is the operator). */
export type TokenOwners = 'all' | { userId: string | null }

/** Tokens of an organization after `cursor`, oldest first, with their makers' names; revoked ones too. */
export function listApiTokens(
  db: Database,
  organizationId: string,
  page: { after: string | null; limit: number; of: TokenOwners },
): Promise<(ApiToken & { maker_name: string | null })[]> {
  const { of } = page
  let query = db
    .selectFrom('api_tokens')
    .leftJoin('users', 'users.id', 'api_tokens.created_by_user_id')
    .select(COLUMNS.map((column) => `api_tokens.${column}` as const))
    .select('users.name as maker_name')
    .where('organization_id', '=', organizationId)
    .where('api_tokens.id', '>', page.after ?? '')
  if (of !== 'all') {
    query = query.where('created_by_user_id', of.userId === null ? 'is' : '=', of.userId)
  }
  return query.orderBy('api_tokens.id').limit(page.limit).execute()
}

/**
 * Ends a token at once, with those that were made by it: who stole it may have made some. One that was revoked before
 * stays so. Throws `token.not_found`, for a token that the asker has
 * no say in too.
 */
export function revokeApiToken(
  deps: { db: Database; clock: Clock; newId: NewId },
  organizationId: string,
  id: string,
  asker: { of: TokenOwners; by: Actor },
): Promise<void> {
  const { of, by } = asker
  return inTransaction(deps.db, async (tx) => {
    await lockOrganization(tx, organizationId)
    let query = tx
      .selectFrom('api_tokens')
      .select(['id', 'name', 'revoked_at'])
      .where('organization_id', '=', organizationId)
      .where('id', '=', id)
    if (of !== 'all') {
      query = query.where('created_by_user_id', of.userId === null ? 'is' : '=', of.userId)
    }
    const token = await query.executeTakeFirst()
    if (token === undefined) {
      throw new OperationError('token.not_found', `Cannot find token "${id}"`)
    }
    if (token.revoked_at === null) await revoke(deps, tx, { organizationId, token, by })
  })
}

/**
 * Ends all tokens that a person has in an organization, because the person is no member any more. The caller has locked
 * the organization.
 */
export async function revokeTokensOfMember(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  of: { organizationId: string; userId: string; by: Actor },
): Promise<void> {
  const tokens = await tx
    .selectFrom('api_tokens')
    .select(['id', 'name'])
    .where('organization_id', '=', of.organizationId)
    .where('created_by_user_id', '=', of.userId)
    .where('revoked_at', 'is', null)
    .execute()
  for (const token of tokens) await revoke(deps, tx, { ...of, token })
}

async function revoke(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  end: {
    organizationId: string
    token: { id: string; name: string }
    by: Actor
    /** The token whose end this follows from. */
    because?: { id: string }
  },
): Promise<void> {
  const { token, organizationId, by, because } = end
  const result = await tx
    .updateTable('api_tokens')
    .set({ revoked_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', token.id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  // Somebody else was first: one event tells it.
  if (result.numUpdatedRows === 0n) return
  await recordAuditEvent(deps, tx, {
    organizationId,
    by,
    action: 'token.revoked',
    target: { kind: 'token', ...token },
    ...(because === undefined ? {} : { details: { made_by_token: because.id } }),
  })
  const children = await tx
    .selectFrom('api_tokens')
    .select(['id', 'name'])
    .where('parent_token_id', '=', token.id)
    .where('revoked_at', 'is', null)
    .execute()
  for (const child of children) {
    await revoke(deps, tx, { organizationId, token: child, by, because: token })
  }
}
