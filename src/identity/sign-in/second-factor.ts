import type { AuditAction } from '../../audit/audit-actions.ts'
import { toIsoTime } from '../../lib/clock.ts'
import { isOperationError, OperationError } from '../../lib/errors.ts'
import { readPerson, type Person } from '../people.ts'
import { callWithPassword, type SignedIn } from './call-with-password.ts'
import type { LibraryAnswer } from './create-sign-in.ts'
import { authenticateSession } from './sessions.ts'
import {
  actorOfPerson,
  auditPerson,
  libraryRequest,
  stranger,
  type BrowserRequest,
  type CookieAnswer,
  type SignInDeps,
} from './sign-in-deps.ts'
import { completeSignIn, type SignedInBody } from './sign-in-with-password.ts'
import { claimCode, releaseCode } from './used-codes.ts'
import { hashIdentifier } from './verifications.ts'

/** The library's cookie between the password and the code. */
const CHALLENGE = 'two_factor'

/**
 * Checks a code of an authenticator app, which works once. It ends a sign-in that the password began, or switches the
 * second factor on for whoever is signed in and sets it up. Throws `auth.invalid_code`, `auth.code_used`,
 * `auth.challenge_expired`, `auth.throttled`.
 */
export async function verifyTotp(
  deps: SignInDeps,
  code: string,
  request: BrowserRequest,
): Promise<CookieAnswer<SignedInBody>> {
  const { person, purpose, cookie } = await whoVerifies(deps, request)
  if (!(await claimCode(deps, person.id, code))) {
    if (purpose === 'sign-in') await noteFailure(deps, person, request, 'totp')
    throw new OperationError(
      'auth.code_used',
      'Cannot accept this code: it was used. Wait for the next one',
    )
  }
  let answer: LibraryAnswer
  try {
    const asked = libraryRequest(request, { code }, cookie)
    answer = await deps.signIn.call('/two-factor/verify-totp', asked)
  } catch (error) {
    // A refusal let nobody in by this code.
    if (error instanceof OperationError) await releaseCode(deps.db, person.id, code)
    if (isOperationError(error, 'auth.invalid_code')) {
      if (purpose === 'sign-in') await noteFailure(deps, person, request, 'totp')
    }
    throw error
  }
  if (purpose === 'sign-in') {
    return await completeSignIn(deps, person, answer, request, { method: 'totp' })
  }
  const by = actorOfPerson(person, request)
  await auditPerson(deps, deps.db, { person, by, action: 'two_factor.enabled' })
  const { id, email, name } = person
  return { body: { user: { id, email, name } }, setCookies: answer.setCookies }
}

/** Ends a sign-in by a recovery code, which works once. Throws as `verifyTotp()` does. */
export async function verifyBackupCode(
  deps: SignInDeps,
  code: string,
  request: BrowserRequest,
): Promise<CookieAnswer<SignedInBody>> {
  const { person, cookie } = await whoSignsIn(deps, request)
  let answer: LibraryAnswer
  try {
    const asked = libraryRequest(request, { code }, cookie)
    answer = await deps.signIn.call('/two-factor/verify-backup-code', asked)
  } catch (error) {
    if (isOperationError(error, 'auth.invalid_code')) {
      await noteFailure(deps, person, request, 'recovery_code')
    }
    throw error
  }
  return await completeSignIn(deps, person, answer, request, { method: 'recovery_code' })
}

/** Begins to set up a second factor: it counts when a first code of it was verified. */
export async function enableSecondFactor(
  deps: SignInDeps,
  signedIn: SignedIn,
  password: string,
  request: BrowserRequest,
): Promise<CookieAnswer<{ totpURI: string; backupCodes: string[] }>> {
  const path = '/two-factor/enable'
  const { body, setCookies } = await callWithPassword(deps, signedIn, {
    path,
    body: { password },
    request,
  })
  return {
    body: { totpURI: String(body['totpURI']), backupCodes: textsOf(body['backupCodes']) },
    setCookies,
  }
}

export async function disableSecondFactor(
  deps: SignInDeps,
  signedIn: SignedIn,
  password: string,
  request: BrowserRequest,
): Promise<CookieAnswer<{ status: true }>> {
  const path = '/two-factor/disable'
  const { setCookies } = await callWithPassword(deps, signedIn, {
    path,
    body: { password },
    request,
  })
  await audit(deps, signedIn, request, 'two_factor.disabled')
  return { body: { status: true }, setCookies }
}

/** New recovery codes; those from before do not work any more. */
export async function generateBackupCodes(
  deps: SignInDeps,
  signedIn: SignedIn,
  password: string,
  request: BrowserRequest,
): Promise<CookieAnswer<{ backupCodes: string[] }>> {
  const path = '/two-factor/generate-backup-codes'
  const { body, setCookies } = await callWithPassword(deps, signedIn, {
    path,
    body: { password },
    request,
  })
  await audit(deps, signedIn, request, 'two_factor.recovery_codes_made')
  return { body: { backupCodes: textsOf(body['backupCodes']) }, setCookies }
}

async function audit(
  deps: SignInDeps,
  { userId: id, email }: SignedIn,
  request: BrowserRequest,
  action: AuditAction,
): Promise<void> {
  const person = { id, email }
  await auditPerson(deps, deps.db, { person, by: actorOfPerson(person, request), action })
}

async function noteFailure(
  deps: SignInDeps,
  person: Person,
  request: BrowserRequest,
  method: string,
): Promise<void> {
  const event = { person, by: stranger(request), details: { method } }
  await auditPerson(deps, deps.db, { ...event, action: 'sign_in.failed', outcome: 'failed' })
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

interface Verifier {
  person: Person
  cookie: string | null
}

/** Whoever is signed in and has no second factor yet sets one up; everybody else signs in. */
async function whoVerifies(
  deps: SignInDeps,
  request: BrowserRequest,
): Promise<Verifier & { purpose: 'sign-in' | 'enable' }> {
  const { cookies } = deps.signIn
  const session = await authenticateSession({ ...deps, cookies }, request.cookieHeader)
  const person = session === null ? undefined : await readPerson(deps.db, session.userId)
  if (person !== undefined && !person.two_factor_enabled) {
    return { person, purpose: 'enable', cookie: cookies.only(request.cookieHeader) }
  }
  return { ...(await whoSignsIn(deps, request)), purpose: 'sign-in' }
}

async function whoSignsIn(deps: SignInDeps, request: BrowserRequest): Promise<Verifier> {
  const { cookies } = deps.signIn
  const identifier = cookies.readSigned(request.cookieHeader, CHALLENGE)
  const row =
    identifier === null
      ? undefined
      : await deps.db
          .selectFrom('verifications')
          .select('value')
          .where('identifier', '=', hashIdentifier(identifier))
          .where('expires_at', '>', toIsoTime(deps.clock.now()))
          .executeTakeFirst()
  const person = row === undefined ? undefined : await readPerson(deps.db, row.value)
  if (person === undefined) {
    throw new OperationError(
      'auth.challenge_expired',
      'Cannot check a code: nobody signs in here, or it took too long. Begin with the password again',
    )
  }
  return { person, cookie: cookies.only(request.cookieHeader, CHALLENGE) }
}
