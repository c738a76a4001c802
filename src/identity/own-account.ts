import type { Actor } from '../audit/actor.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Principal } from './principal.ts'
import type { SessionCookies } from './sign-in/session-cookie.ts'
import { endOtherSessions, endSession } from './sign-in/sessions.ts'
import { auditPerson } from './sign-in/sign-in-deps.ts'

interface Deps {
  db: Database
  clock: Clock
  newId: NewId
}

interface Own {
  userId: string
  email: string
}

/** The session of a browser; null for whoever asks in another way. */
export function sessionIdOf(principal: Principal | null): string | null {
  if (principal?.kind !== 'user' || principal.via.kind !== 'session') return null
  return principal.via.sessionId
}

/** Ends the session that asks. Returns the `Set-Cookie` value that takes its cookie away. */
export async function signOut(
  deps: Deps & { signIn: { cookies: SessionCookies } },
  own: Own,
  principal: Principal | null,
  by: Actor,
): Promise<string> {
  const sessionId = sessionIdOf(principal)
  if (sessionId !== null) {
    await inTransaction(deps.db, async (tx) => {
      if (!(await endSession(tx, own.userId, sessionId))) return
      const details = { sessions: 1 }
      await auditPerson(deps, tx, { person: personOf(own), by, action: 'session.ended', details })
    })
  }
  return deps.signIn.cookies.clear()
}

/** Ends one of the own sessions. Throws `session.not_found`. */
export async function endOwnSession(
  deps: Deps,
  own: Own,
  sessionId: string,
  by: Actor,
): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    if (!(await endSession(tx, own.userId, sessionId))) {
      throw new OperationError('session.not_found', 'Cannot find this session: it may have ended')
    }
    const details = { sessions: 1 }
    await auditPerson(deps, tx, { person: personOf(own), by, action: 'session.ended', details })
  })
}

/** Ends the own sessions but the one that asks. Returns how many. */
export async function endOwnOtherSessions(
  deps: Deps,
  own: Own,
  exceptSessionId: string | null,
  by: Actor,
): Promise<number> {
  return await inTransaction(deps.db, async (tx) => {
    const sessions = await endOtherSessions(tx, own.userId, exceptSessionId)
    const event = {
      person: personOf(own),
      by,
      action: 'session.ended',
      details: { sessions },
    } as const
    if (sessions > 0) await auditPerson(deps, tx, event)
    return sessions
  })
}

/** Changes the own name. */
export async function renamePerson(
  deps: Deps,
  own: Own,
  name: string,
  by: Actor,
): Promise<{ user: { id: string; email: string; name: string } }> {
  await inTransaction(deps.db, async (tx) => {
    await tx
      .updateTable('users')
      .set({ name, updated_at: toIsoTime(deps.clock.now()) })
      .where('id', '=', own.userId)
      .execute()
    const event = {
      person: personOf(own),
      by,
      action: 'person.updated',
      details: { name },
    } as const
    await auditPerson(deps, tx, event)
  })
  return { user: { id: own.userId, email: own.email, name } }
}

function personOf(own: Own): { id: string; email: string } {
  return { id: own.userId, email: own.email }
}
