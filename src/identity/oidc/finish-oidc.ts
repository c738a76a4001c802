import { z } from 'zod'

import type { Actor } from '../../audit/actor.ts'
import { isUniqueViolation } from '../../database/database-errors.ts'
import type { Database, Tx } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import type { Clock } from '../../lib/clock.ts'
import { isOperationError } from '../../lib/errors.ts'
import type { NewId } from '../../lib/ids.ts'
import type { Keyring } from '../../secrets/keyring.ts'
import { acceptInvitationInTransaction, lockOpenInvitation } from '../accept-invitation.ts'
import { hashToken } from '../hash-token.ts'
import { takeOauthState } from '../oauth-states.ts'
import { createPerson, readPerson } from '../people.ts'
import { safeReturnPath } from '../return-path.ts'
import type { SessionCookies } from '../sign-in/session-cookie.ts'
import { createSession, endSession } from '../sign-in/sessions.ts'
import { auditPerson } from '../sign-in/sign-in-deps.ts'
import type { Oidc, OidcAnswer, OidcSubject } from './create-oidc.ts'
import { addIdentity, findPersonByIdentity } from './identities.ts'
import type { OidcError } from './oidc-errors.ts'
import { configuredOidc, type OidcRequest } from './start-oidc.ts'

interface FinishDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'seal' | 'open'>
  cookies: SessionCookies
  oidc: Oidc | null
}

/** The browser that comes back from the provider. */
interface Callback {
  answer: Omit<OidcAnswer, 'state'> & { state?: string | undefined }
  /** Of its cookie. */
  binding: string | null
  /** Its session, when somebody is signed in. */
  session: { userId: string; sessionId: string } | null
  by: Actor
  from: { ipAddress: string | null; userAgent: string | null }
}

export type OidcEnd =
  | { kind: 'signed_in'; returnTo: string; cookie: string }
  | { kind: 'linked'; returnTo: string }
  | { kind: 'refused'; whileLinking: boolean; error: OidcError }

const oidcRequest = z.object({
  verifier: z.string(),
  nonce: z.string(),
  returnTo: z.string(),
  invitationToken: z.string().nullable(),
}) satisfies z.ZodType<OidcRequest>

/**
 * Ends a trip to the provider. Who it vouches for is found by issuer and subject alone: an e-mail address, verified or
 * not, never leads to an account. Throws `oidc.not_configured`.
 */
export async function finishOidc(deps: FinishDeps, callback: Callback): Promise<OidcEnd> {
  const oidc = configuredOidc(deps)
  const { binding, session } = callback
  const { state } = callback.answer
  const taken =
    state === undefined || binding === null
      ? undefined
      : await takeOauthState(deps, { state, binding, userId: session?.userId ?? null })
  if (state === undefined || taken === undefined) {
    return { kind: 'refused', whileLinking: false, error: 'oidc_expired' }
  }
  const whileLinking = taken.purpose === 'oidc.link'
  const refused = (error: OidcError): OidcEnd => ({ kind: 'refused', whileLinking, error })
  const request = oidcRequest.parse(taken.request)
  const redemption = await oidc.redeem({ ...callback.answer, state }, request)
  if (redemption.kind !== 'subject') return refused(`oidc_${redemption.kind}`)
  try {
    return taken.userId === null
      ? await signIn(deps, callback, redemption.subject, request)
      : await link(deps, callback, redemption.subject, { ...request, userId: taken.userId })
  } catch (error) {
    const refusal = refusalOf(error)
    if (refusal === undefined) throw error
    return refused(refusal)
  }
}

/** Expected ends inside a transaction, which must not be stored. */
function refusalOf(error: unknown): OidcError | undefined {
  if (isUniqueViolation(error)) return 'oidc_linked_to_other'
  if (isOperationError(error, 'person.email_taken')) return 'oidc_email_taken'
  const ofInvitations = ['invitation.not_found', 'member.too_many']
  if (ofInvitations.some((code) => isOperationError(error, code))) return 'oidc_invitation_invalid'
  return undefined
}

async function signIn(
  deps: FinishDeps,
  callback: Callback,
  subject: OidcSubject,
  request: OidcRequest,
): Promise<OidcEnd> {
  return await inTransaction(deps.db, async (tx) => {
    const known = await findPersonByIdentity(tx, subject)
    const refused = (error: OidcError): OidcEnd => ({ kind: 'refused', whileLinking: false, error })
    const details = { method: 'oidc', issuer: subject.issuer }
    if (known !== undefined && known.deleted_at !== null) {
      await auditPerson(deps, tx, {
        person: known,
        by: callback.by,
        action: 'sign_in.failed',
        outcome: 'refused',
        details: { ...details, reason: 'the person was deleted' },
      })
      return refused('oidc_unknown_person')
    }
    if (known === undefined && request.invitationToken === null) {
      return refused('oidc_unknown_person')
    }
    const person = known ?? (await makePerson(deps, tx, callback.by, subject, request))
    const by = { ...callback.by, kind: 'user' as const, id: person.id, name: person.email }
    if (known !== undefined && request.invitationToken !== null) {
      const accepted = await acceptAsKnown(deps, tx, { person, by, token: request.invitationToken })
      if (!accepted) return refused('oidc_invitation_invalid')
    }
    // The browser forgets the session that it had: nobody else shall go on with it.
    const { session } = callback
    if (session !== null) await endSession(tx, session.userId, session.sessionId)
    const { cookie } = await createSession(deps, tx, person.id, callback.from)
    await auditPerson(deps, tx, { person, by, action: 'sign_in.succeeded', details })
    return { kind: 'signed_in', returnTo: safeReturnPath(request.returnTo), cookie }
  })
}

/** Of an invitation: its link is the proof that the address is theirs, and this identity becomes their way in. */
async function makePerson(
  deps: FinishDeps,
  tx: Tx,
  anonymous: Actor,
  subject: OidcSubject,
  request: OidcRequest,
): Promise<{ id: string; email: string }> {
  const tokenHash = hashToken(request.invitationToken ?? '')
  const { email } = await lockOpenInvitation(deps, tx, tokenHash)
  const name = subject.name ?? email.slice(0, email.indexOf('@'))
  const { id } = await createPerson(deps, tx, { email, name, passwordHash: null })
  const by = { ...anonymous, kind: 'user' as const, id, name: email }
  await acceptInvitationInTransaction(deps, tx, { tokenHash, userId: id, by })
  await addIdentity(deps, tx, { person: { id, email }, by, ...subject })
  return { id, email }
}

/** False for an invitation of another address: somebody may have passed it on. */
async function acceptAsKnown(
  deps: FinishDeps,
  tx: Tx,
  input: { person: { id: string; email: string }; by: Actor; token: string },
): Promise<boolean> {
  const { person, by } = input
  const tokenHash = hashToken(input.token)
  const { email } = await lockOpenInvitation(deps, tx, tokenHash)
  if (email !== person.email) return false
  try {
    await acceptInvitationInTransaction(deps, tx, { tokenHash, userId: person.id, by })
  } catch (error) {
    if (!isOperationError(error, 'invitation.already_member')) throw error
  }
  return true
}

async function link(
  deps: FinishDeps,
  callback: Callback,
  subject: OidcSubject,
  request: OidcRequest & { userId: string },
): Promise<OidcEnd> {
  const { userId } = request
  return await inTransaction(deps.db, async (tx) => {
    const owner = await findPersonByIdentity(tx, subject)
    if (owner !== undefined && owner.id !== userId) {
      return { kind: 'refused', whileLinking: true, error: 'oidc_linked_to_other' }
    }
    const person = await readPerson(tx, userId)
    if (person === undefined) {
      return { kind: 'refused', whileLinking: true, error: 'oidc_unknown_person' }
    }
    if (owner === undefined) await addIdentity(deps, tx, { person, by: callback.by, ...subject })
    return { kind: 'linked', returnTo: safeReturnPath(request.returnTo) }
  })
}
