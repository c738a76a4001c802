import { safeReturnPath } from '../identity/return-path.ts'
import { STATUS_PAGE } from '../integrations/connect-github.ts'
import type { Traveller } from '../integrations/oauth-trip.ts'
import { OperationError } from '../lib/errors.ts'
import type { RequestFacts } from './handler.ts'
import { jsonResponse } from './json-response.ts'

/** So long GitHub may take where the browser waits, and the answer must be stored even when it does not. */
const TRIP_MS = 45_000

/** Goes on when the client is gone: codes are good once. */
export function tripSignal(): AbortSignal {
  return AbortSignal.timeout(TRIP_MS)
}

/** The person and the session that goes to GitHub and comes back. Throws `http.forbidden`, `github.needs_session`. */
export function travellerOf({ principal }: RequestFacts): Traveller {
  if (principal?.kind !== 'user') {
    throw new OperationError(
      'http.forbidden',
      'Cannot do this as a program: it is for people who signed in',
    )
  }
  if (principal.via.kind === 'session') {
    return { userId: principal.userId, sessionId: principal.via.sessionId }
  }
  throw new OperationError(
    'github.needs_session',
    'Cannot go to GitHub with a session of Clerk: sign in at NanoScale itself for this',
  )
}

/** As "see other", so that the browser does not keep this address, which has the code. */
export function redirectToPage(
  codes: { told: string } | { error: string },
  path: string = STATUS_PAGE,
): Response {
  const url = new URL(safeReturnPath(path), 'http://here.invalid')
  if ('told' in codes) url.searchParams.set('github', codes.told)
  else url.searchParams.set('error', codes.error)
  const response = jsonResponse(303, undefined)
  response.headers.set('location', safeReturnPath(`${url.pathname}${url.search}${url.hash}`))
  return response
}
