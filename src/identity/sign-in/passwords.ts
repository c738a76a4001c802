import { randomBytes } from 'node:crypto'

import type { Actor } from '../../audit/actor.ts'
import type { Database } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../../lib/clock.ts'
import { messageOf, OperationError } from '../../lib/errors.ts'
import type { NewId } from '../../lib/ids.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Mailer } from '../../mail/create-mailer.ts'
import { passwordResetMessage } from '../../mail/messages.ts'
import { CLERK_ADDRESS_SUFFIX } from '../members.ts'
import { findPersonByEmail, readPerson, type Person } from '../people.ts'
import { callWithPassword, type SignedIn } from './call-with-password.ts'
import { RESET_LINK_SECONDS } from './library-options.ts'
import {
  actorOfPerson,
  auditPerson,
  libraryRequest,
  stranger,
  type BrowserRequest,
  type CookieAnswer,
  type SignInDeps,
} from './sign-in-deps.ts'
import { clearThrottles, mayAskForMail } from './throttle-sign-in.ts'
import {
  deleteResetLinks,
  deleteVerifications,
  ENDS_SECOND_FACTOR,
  hashIdentifier,
  resetIdentifier,
  type ResetLinkKind,
} from './verifications.ts'

interface LinkDeps {
  db: Database
  clock: Clock
  newId: NewId
  config: { publicBaseUrl: string }
}

/**
 * Makes a link by which this person, or whoever has it, chooses a new password: once, within an hour. One that
 * an owner passes on ends the second factor too, for whoever lost it; one that goes by mail must not, or a mailbox would
 * be enough to get in. Links from before do not work any more, except that anybody may ask for one by mail: that leaves
 * an owner's as it is. The caller notes who made it.
 */
export async function createResetLink(
  deps: LinkDeps,
  userId: string,
  options: { endsSecondFactor: boolean } = { endsSecondFactor: false },
): Promise<{ url: string; expires_at: string }> {
  const beginning = options.endsSecondFactor ? ENDS_SECOND_FACTOR : 'pw_'
  const replaced: ResetLinkKind[] = options.endsSecondFactor ? ['mailed', 'passed_on'] : ['mailed']
  const token = beginning + randomBytes(24).toString('base64url')
  const now = deps.clock.now()
  const expiresAt = toIsoTime(now + RESET_LINK_SECONDS * 1000)
  await inTransaction(deps.db, async (tx) => {
    await deleteResetLinks(tx, userId, replaced)
    await tx
      .insertInto('verifications')
      .values({
        id: deps.newId(),
        identifier: hashIdentifier(resetIdentifier(token)),
        value: userId,
        expires_at: expiresAt,
        created_at: toIsoTime(now),
        updated_at: toIsoTime(now),
      })
      .execute()
  })
  // The fragment never reaches a server, so no log and no proxy has it.
  const url = new URL('/reset-password', deps.config.publicBaseUrl)
  return { url: `${url.href}#token=${token}`, expires_at: expiresAt }
}

/**
 * Somebody asks for a link by mail. The answer is the same whether the address is known, and does not wait for what is
 * done about it; `onDone` tells when it is.
 */
export async function requestPasswordReset(
  deps: LinkDeps & {
    mailer: Pick<Mailer, 'configured' | 'send'>
    log: Pick<Logger, 'warn'>
    onDone?: () => void
  },
  email: string,
  request: BrowserRequest,
): Promise<void> {
  const allowed = await mayAskForMail(deps, email, request.network)
  const person = await findPersonByEmail(deps.db, email)
  if (!allowed || person === undefined || person.email.endsWith(CLERK_ADDRESS_SUFFIX)) return
  const send = async () => {
    try {
      await sendResetLink(deps, person, request)
    } catch (error) {
      deps.log.warn('A link to choose a new password was not sent', { reason: messageOf(error) })
    } finally {
      deps.onDone?.()
    }
  }
  setImmediate(() => void send())
}

async function sendResetLink(
  deps: LinkDeps & { mailer: Pick<Mailer, 'configured' | 'send'> },
  person: Person,
  request: BrowserRequest,
): Promise<void> {
  const { mailer } = deps
  const action = 'password.reset_requested'
  const details = { mail: mailer.configured }
  await auditPerson(deps, deps.db, { person, by: stranger(request), action, details })
  if (!mailer.configured) return
  const link = await createResetLink(deps, person.id)
  const { name, email } = person
  const facts = { name, email, link: link.url, expiresAt: link.expires_at }
  await mailer.send({ to: email, ...passwordResetMessage(facts) })
}

/** Sets a password by a link, and signs this person out everywhere. Throws `auth.invalid_link`. */
export async function resetPassword(
  deps: SignInDeps,
  given: { token: string; newPassword: string },
  request: BrowserRequest,
): Promise<{ status: true }> {
  const row = await deps.db
    .selectFrom('verifications')
    .select('value')
    .where('identifier', '=', hashIdentifier(resetIdentifier(given.token)))
    .where('expires_at', '>', toIsoTime(deps.clock.now()))
    .executeTakeFirst()
  const person = row === undefined ? undefined : await readPerson(deps.db, row.value)
  if (person === undefined) {
    throw new OperationError(
      'auth.invalid_link',
      'Cannot set a password by this link: it was used, replaced, or is too old. Ask for a new one',
    )
  }
  await deps.signIn.call('/reset-password', libraryRequest(request, given, null))
  const by = actorOfPerson(person, request)
  if (given.token.startsWith(ENDS_SECOND_FACTOR)) await endSecondFactor(deps, person, by)
  await afterNewPassword(deps, person, by, { by: 'link' })
  return { status: true }
}

/** Changes the own password and signs out everywhere but here, where a new session begins. */
export async function changePassword(
  deps: SignInDeps,
  signedIn: SignedIn,
  given: { currentPassword: string; newPassword: string },
  request: BrowserRequest,
): Promise<CookieAnswer<{ status: true }>> {
  const { setCookies } = await callWithPassword(deps, signedIn, {
    path: '/change-password',
    body: { ...given, revokeOtherSessions: true },
    request,
  })
  const person = { id: signedIn.userId, email: signedIn.email }
  await afterNewPassword(deps, person, actorOfPerson(person, request), { by: 'password' })
  return { body: { status: true }, setCookies }
}

async function endSecondFactor(deps: SignInDeps, person: Person, by: Actor): Promise<void> {
  if (!person.two_factor_enabled) return
  await inTransaction(deps.db, async (tx) => {
    await tx.deleteFrom('two_factors').where('user_id', '=', person.id).execute()
    await tx
      .updateTable('users')
      .set({ two_factor_enabled: false, updated_at: toIsoTime(deps.clock.now()) })
      .where('id', '=', person.id)
      .execute()
    const event = { person, by, action: 'two_factor.disabled', details: { by: 'link' } } as const
    await auditPerson(deps, tx, event)
  })
}

/** Whoever knew the old password gets nowhere with what they began. */
async function afterNewPassword(
  deps: SignInDeps,
  person: Pick<Person, 'id' | 'email'>,
  by: Actor,
  details: Record<string, unknown>,
): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    await deleteVerifications(tx, person.id)
    await clearThrottles(tx, person.email)
    await auditPerson(deps, tx, { person, by, action: 'password.changed', details })
  })
}
