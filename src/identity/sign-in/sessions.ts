import { randomBytes } from 'node:crypto'

import type { Database, Tx } from '../../database/database.ts'
import { toIsoTime, type Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { NewId } from '../../lib/ids.ts'
import { hashToken } from '../hash-token.ts'
import type { SessionCookies } from './session-cookie.ts'

const RECENT_MS = 15 * 60 * 1000
const RENEW_AT_MOST_EVERY_MS = 60 * 60 * 1000
const MAX_USER_AGENT_LENGTH = 300
/** 192 random bits in 32 letters. */
const TOKEN_BYTES = 24

export interface AuthenticatedSession {
  sessionId: string
  userId: string
  name: string
  email: string
  /** A `Set-Cookie` value to send along when the session was renewed, so that the browser keeps it as long. */
  renewedCookie: string | null
}

export interface SessionFacts {
  id: string
  created_at: string
  /** Of the last renewal, about an hour exact. */
  updated_at: string
  expires_at: string
  ip_address: string | null
  user_agent: string | null
}

/**
 * Whose session a `Cookie` header names; null when it names none, an expired one, or one of a deleted person. A session
 * with less than half of its life left is renewed.
 */
export async function authenticateSession(
  deps: { db: Database; clock: Clock; cookies: SessionCookies },
  cookieHeader: string | null | undefined,
): Promise<AuthenticatedSession | null> {
  const token = deps.cookies.read(cookieHeader)
  if (token === null) return null
  const now = deps.clock.now()
  const row = await deps.db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select(['sessions.id', 'sessions.user_id', 'sessions.expires_at', 'sessions.updated_at'])
    .select(['users.name', 'users.email'])
    .where('sessions.token', '=', hashToken(token))
    .where('sessions.expires_at', '>', toIsoTime(now))
    .where('users.deleted_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined) return null
  const left = Date.parse(row.expires_at) - now
  const due =
    left < deps.cookies.lifetimeMs / 2 && now - Date.parse(row.updated_at) >= RENEW_AT_MOST_EVERY_MS
  const renewed = due && (await renew(deps, row, now))
  return {
    sessionId: row.id,
    userId: row.user_id,
    name: row.name,
    email: row.email,
    renewedCookie: renewed ? deps.cookies.write(token) : null,
  }
}

/** Compare-and-set: of requests at the same time one renews. */
async function renew(
  deps: { db: Database; cookies: SessionCookies },
  session: { id: string; updated_at: string },
  now: number,
): Promise<boolean> {
  const result = await deps.db
    .updateTable('sessions')
    .set({ expires_at: toIsoTime(now + deps.cookies.lifetimeMs), updated_at: toIsoTime(now) })
    .where('id', '=', session.id)
    .where('updated_at', '=', session.updated_at)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Signs a person in: stores a session and gives back its `Set-Cookie` value. The token is kept nowhere. */
export async function createSession(
  deps: { clock: Clock; newId: NewId; cookies: SessionCookies },
  tx: Tx | Database,
  userId: string,
  from: { ipAddress: string | null; userAgent: string | null },
): Promise<{ sessionId: string; token: string; cookie: string }> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const now = deps.clock.now()
  const sessionId = deps.newId()
  await tx
    .insertInto('sessions')
    .values({
      id: sessionId,
      user_id: userId,
      token: hashToken(token),
      expires_at: toIsoTime(now + deps.cookies.lifetimeMs),
      ip_address: from.ipAddress,
      user_agent: from.userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
      created_at: toIsoTime(now),
      updated_at: toIsoTime(now),
    })
    .execute()
  return { sessionId, token, cookie: deps.cookies.write(token) }
}

/**
 * For what outlasts a session: whoever found a browser open must not come back with a way in of their own. Null is who
 * has no session. Throws `auth.sign_in_too_old`.
 */
export async function requireRecentSignIn(
  deps: { db: Database; clock: Clock },
  sessionId: string | null,
): Promise<void> {
  const since = toIsoTime(deps.clock.now() - RECENT_MS)
  const session =
    sessionId === null
      ? undefined
      : await deps.db
          .selectFrom('sessions')
          .select('id')
          .where('id', '=', sessionId)
          .where('created_at', '>', since)
          .executeTakeFirst()
  if (session !== undefined) return
  throw new OperationError(
    'auth.sign_in_too_old',
    'Cannot add a way to sign in: you signed in over 15 minutes ago. Sign out, sign in again, then add it',
  )
}

/** The sessions of a person that can be used, newest first. */
export function listSessions(
  db: Database | Tx,
  deps: { clock: Clock },
  userId: string,
): Promise<SessionFacts[]> {
  return db
    .selectFrom('sessions')
    .select(['id', 'created_at', 'updated_at', 'expires_at', 'ip_address', 'user_agent'])
    .where('user_id', '=', userId)
    .where('expires_at', '>', toIsoTime(deps.clock.now()))
    .orderBy('id', 'desc')
    .limit(200)
    .execute()
}

/** Ends one session of this person. False when they have none of this id. */
export async function endSession(
  tx: Tx | Database,
  userId: string,
  sessionId: string,
): Promise<boolean> {
  const result = await tx
    .deleteFrom('sessions')
    .where('id', '=', sessionId)
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return result.numDeletedRows > 0n
}

/** Ends all sessions of a person but one; all of them without `exceptSessionId`. Returns how many. */
export async function endOtherSessions(
  tx: Tx | Database,
  userId: string,
  exceptSessionId: string | null,
): Promise<number> {
  let query = tx.deleteFrom('sessions').where('user_id', '=', userId)
  if (exceptSessionId !== null) query = query.where('id', '!=', exceptSessionId)
  return Number((await query.executeTakeFirst()).numDeletedRows)
}
