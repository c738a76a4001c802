import { inTransaction } from '../../database/in-transaction.ts'
import { isOperationError } from '../../lib/errors.ts'
import { hashToken } from '../hash-token.ts'
import { findPersonByEmail, type Person } from '../people.ts'
import type { LibraryAnswer } from './create-sign-in.ts'
import { knownBrowserId, rememberBrowser } from './known-browser.ts'
import {
  actorOfPerson,
  auditPerson,
  libraryRequest,
  stranger,
  type BrowserRequest,
  type CookieAnswer,
  type SignInDeps,
} from './sign-in-deps.ts'
import { countAttempt } from './throttle-sign-in.ts'

export interface SignedInBody {
  user: { id: string; email: string; name: string }
}

/** The password was right; now a code of the second factor is to be sent. */
export interface SecondFactorBody {
  twoFactorRedirect: true
  twoFactorMethods: string[]
}

/**
 * Refusals are answered at full steps of this: noting that somebody's password was wrong takes some milliseconds, which
 * would tell the addresses that somebody has from those that nobody has.
 */
const ANSWER_STEP_MS = 200

/**
 * Signs in with a password. A session that the browser had ends: nobody goes on in one that somebody else chose. Throws
 * `auth.throttled`, `auth.invalid_credentials` and `auth.busy`.
 */
export async function signInWithPassword(
  deps: SignInDeps,
  credentials: { email: string; password: string },
  request: BrowserRequest,
): Promise<CookieAnswer<SignedInBody | SecondFactorBody>> {
  const { email, password } = credentials
  const { cookies } = deps.signIn
  const begun = deps.clock.now()
  const attempt = await countAttempt(deps, {
    email,
    network: request.network,
    knownBrowserId: knownBrowserId(cookies, request.cookieHeader, email),
  })
  let answer: LibraryAnswer
  try {
    const body = { email: email.trim().toLowerCase(), password }
    answer = await deps.signIn.call('/sign-in/email', libraryRequest(request, body, null))
  } catch (error) {
    if (isOperationError(error, 'auth.invalid_credentials')) {
      await noteFailure(deps, email, request, attempt.waitBegins)
      await deps.clock.sleep(ANSWER_STEP_MS - ((deps.clock.now() - begun) % ANSWER_STEP_MS))
    } else await attempt.unchecked()
    throw error
  }
  await attempt.succeeded()
  await endSessionOf(deps, request)
  if (answer.body['twoFactorRedirect'] === true) {
    const body = { twoFactorRedirect: true, twoFactorMethods: ['totp'] } as const
    return {
      body: { ...body, twoFactorMethods: [...body.twoFactorMethods] },
      setCookies: answer.setCookies,
    }
  }
  const person = await findPersonByEmail(deps.db, email)
  if (person === undefined) throw new Error('Somebody signed in and is gone')
  return await completeSignIn(deps, person, answer, request, { method: 'password' })
}

/** What every way to sign in ends with: the audit, and a browser that is known from now on. */
export async function completeSignIn(
  deps: SignInDeps,
  person: Person,
  answer: { setCookies: string[] },
  request: BrowserRequest,
  details: Record<string, unknown>,
): Promise<CookieAnswer<SignedInBody>> {
  const by = actorOfPerson(person, request)
  await auditPerson(deps, deps.db, { person, by, action: 'sign_in.succeeded', details })
  const { id, email, name } = person
  return {
    body: { user: { id, email, name } },
    setCookies: [...answer.setCookies, rememberBrowser(deps.signIn.cookies, email)],
  }
}

async function noteFailure(
  deps: SignInDeps,
  email: string,
  request: BrowserRequest,
  waitBegins: boolean,
): Promise<void> {
  const person = await findPersonByEmail(deps.db, email)
  if (person === undefined) return
  const event = { person, by: stranger(request), details: { method: 'password' } }
  await inTransaction(deps.db, async (tx) => {
    await auditPerson(deps, tx, { ...event, action: 'sign_in.failed', outcome: 'failed' })
    if (!waitBegins) return
    // Once for each wait: whoever knocks on meanwhile must not fill the audit.
    await auditPerson(deps, tx, { ...event, action: 'sign_in.throttled', outcome: 'refused' })
  })
}

/** Ends the session that the browser came with, whoever's it was. */
async function endSessionOf(deps: SignInDeps, request: BrowserRequest): Promise<void> {
  const token = deps.signIn.cookies.read(request.cookieHeader)
  if (token === null) return
  await deps.db.deleteFrom('sessions').where('token', '=', hashToken(token)).execute()
}
