import { isOperationError, OperationError } from '../../lib/errors.ts'
import type { LibraryAnswer, LibraryPath } from './create-sign-in.ts'
import { knownBrowserId } from './known-browser.ts'
import { authenticateSession } from './sessions.ts'
import {
  actorOfPerson,
  auditPerson,
  libraryRequest,
  type BrowserRequest,
  type SignInDeps,
} from './sign-in-deps.ts'
import { countAttempt } from './throttle-sign-in.ts'

/** Whoever changes how they sign in: a person with a session. */
export interface SignedIn {
  userId: string
  email: string
}

/**
 * Calls the library for somebody who is signed in and sends the password once more. Wrong ones count as failed attempts:
 * a session that was left open is no way to guess it.
 */
export async function callWithPassword(
  deps: SignInDeps,
  { userId: id, email }: SignedIn,
  call: { path: LibraryPath; body: object; request: BrowserRequest },
): Promise<LibraryAnswer> {
  const { path, body, request } = call
  const { cookies } = deps.signIn
  const session = await authenticateSession({ ...deps, cookies }, request.cookieHeader)
  // Whoever asks by a token of Clerk may send the cookie of somebody else along.
  if (session?.userId !== id) {
    throw new OperationError(
      'http.unauthorized',
      'Cannot tell who asks: sign in in this browser first',
    )
  }
  const attempt = await countAttempt(deps, {
    email,
    network: request.network,
    knownBrowserId: knownBrowserId(cookies, request.cookieHeader, email),
  })
  try {
    const cookie = cookies.only(request.cookieHeader)
    const answer = await deps.signIn.call(path, libraryRequest(request, body, cookie))
    await attempt.succeeded()
    return answer
  } catch (error) {
    if (isOperationError(error, 'auth.invalid_password')) {
      const person = { id, email }
      const by = actorOfPerson(person, request)
      const event = { person, by, details: { method: 'password_again' } }
      await auditPerson(deps, deps.db, { ...event, action: 'sign_in.failed', outcome: 'failed' })
    } else await attempt.unchecked()
    throw error
  }
}
