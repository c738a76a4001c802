/** People and tokens of tests, put into the database as they are there after signing in and creating. */
import { createHash, randomBytes } from 'node:crypto'

import type { Database } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import type { SessionCookies } from '../identity/sign-in/session-cookie.ts'
import { createSession } from '../identity/sign-in/sessions.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'

export interface TestPerson {
  userId: string
  email: string
  sessionId: string
  /** A `Cookie` header. */
  cookie: string
}

export interface PersonOptions {
  /** Default: `org-default`. */
  organizationId?: string
  /** The projects that they are limited to; default: all. */
  reach?: readonly string[]
}

/** A person with a session; with `null` one who belongs to no organization. */
export async function addPerson(
  deps: { db: Database; clock: Clock; cookies: SessionCookies },
  role: Role | null,
  options: PersonOptions = {},
): Promise<TestPerson> {
  const { db } = deps
  const userId = newId()
  const now = toIsoTime(deps.clock.now())
  const email = `${role ?? 'nobody'}-${userId}@example.com`
  await db
    .insertInto('users')
    .values({
      id: userId,
      clerk_user_id: null,
      email,
      name: `A ${role ?? 'person'}`,
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
  if (role !== null) await addMembership(db, userId, role, options, now)
  const from = { ipAddress: null, userAgent: 'test' }
  const session = await createSession({ ...deps, newId }, db, userId, from)
  const cookie = session.cookie.split(';')[0] ?? ''
  return { userId, email, sessionId: session.sessionId, cookie }
}

async function addMembership(
  db: Database,
  userId: string,
  role: Role,
  options: PersonOptions,
  now: string,
): Promise<void> {
  const organizationId = options.organizationId ?? 'org-default'
  await db
    .insertInto('organization_members')
    .values({
      id: newId(),
      organization_id: organizationId,
      user_id: userId,
      role,
      project_access: options.reach === undefined ? 'all' : 'selected',
      clerk_membership_id: null,
      joined_at: now,
      updated_at: now,
    })
    .execute()
  for (const projectId of options.reach ?? []) {
    await db
      .insertInto('project_members')
      .values({
        organization_id: organizationId,
        project_id: projectId,
        user_id: userId,
        created_at: now,
      })
      .execute()
  }
}

export interface TokenOptions {
  /** Default: all that its maker may. */
  scopes?: readonly string[]
  /** Default: the operator made it. */
  userId?: string
}

/** A token as it is after its creation. */
export async function addToken(
  deps: { db: Database; clock: Clock },
  organizationId: string,
  options: TokenOptions = {},
): Promise<{ id: string; token: string }> {
  const token = `nsk_${randomBytes(32).toString('base64url')}`
  const id = newId()
  await deps.db
    .insertInto('api_tokens')
    .values({
      id,
      organization_id: organizationId,
      name: 'test',
      token_hash: createHash('sha256').update(token).digest('hex'),
      hint: token.slice(-4),
      created_at: toIsoTime(deps.clock.now()),
      expires_at: null,
      last_used_at: null,
      revoked_at: null,
      created_by_user_id: options.userId ?? null,
      scopes: [...(options.scopes ?? ['*'])],
      parent_token_id: null,
    })
    .execute()
  return { id, token }
}
