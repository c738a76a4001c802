import { OperationError } from '../../lib/errors.ts'

/** The sign-in library's codes in our words. */
const ERRORS: Readonly<Record<string, readonly [code: string, sentence: string]>> = {
  INVALID_EMAIL: [
    'auth.invalid_credentials',
    'Cannot sign in: the address or the password is wrong',
  ],
  INVALID_EMAIL_OR_PASSWORD: [
    'auth.invalid_credentials',
    'Cannot sign in: the address or the password is wrong',
  ],
  INVALID_PASSWORD: ['auth.invalid_password', 'Cannot go on: the password is wrong'],
  CREDENTIAL_ACCOUNT_NOT_FOUND: [
    'auth.no_password',
    'Cannot go on: you have no password. Ask for a reset link to choose one',
  ],
  INVALID_TOKEN: [
    'auth.invalid_link',
    'Cannot set a password by this link: it was used, replaced, or is too old. Ask for a new one',
  ],
  USER_NOT_FOUND: [
    'auth.invalid_link',
    'Cannot set a password by this link: it was used, replaced, or is too old. Ask for a new one',
  ],
  INVALID_CODE: ['auth.invalid_code', 'Cannot accept this code: it is wrong or too old'],
  INVALID_BACKUP_CODE: [
    'auth.invalid_code',
    'Cannot accept this recovery code: it is wrong or used',
  ],
  INVALID_TWO_FACTOR_COOKIE: [
    'auth.challenge_expired',
    'Cannot check a code: nobody signs in here, or it took too long. Begin with the password again',
  ],
  TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE: [
    'auth.challenge_expired',
    'Cannot check more codes: too many were wrong. Begin with the password again',
  ],
  TOTP_NOT_ENABLED: ['auth.no_second_factor', 'Cannot check a code: there is no second factor'],
  BACKUP_CODES_NOT_ENABLED: [
    'auth.no_second_factor',
    'Cannot use recovery codes: there is no second factor',
  ],
  TWO_FACTOR_NOT_ENABLED: [
    'auth.no_second_factor',
    'Cannot make recovery codes: there is no second factor',
  ],
  TOTP_ALREADY_ENABLED: [
    'auth.second_factor_exists',
    'Cannot set up a second factor: there is one. Switch it off first',
  ],
  UNAUTHORIZED: ['http.unauthorized', 'Cannot tell who asks: sign in'],
}

/** Minutes are enough: this sentence is for somebody who typed wrong codes. */
const LOCKED_SECONDS = 900

/** A refusal of the library as our error; one that we do not know is a defect. */
export function translateLibraryError(status: number, body: unknown): Error {
  const code = codeOf(status, body)
  if (code === 'ACCOUNT_TEMPORARILY_LOCKED') {
    return new OperationError(
      'auth.throttled',
      'Cannot check codes for this account now: too many were wrong. Try again in 15 minutes',
      { retryAfterSeconds: LOCKED_SECONDS },
    )
  }
  const known = ERRORS[code]
  if (known !== undefined) return new OperationError(known[0], known[1])
  return new Error(`The sign-in library answered ${status} ${code}`)
}

function codeOf(status: number, body: unknown): string {
  // Two requests with the same recovery code: the other one was first.
  if (status === 409) return 'INVALID_BACKUP_CODE'
  if (typeof body !== 'object' || body === null || !('code' in body)) return ''
  return typeof body.code === 'string' ? body.code : ''
}
