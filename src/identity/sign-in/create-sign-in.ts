import type { Database } from '../../database/database.ts'
import type { Clock } from '../../lib/clock.ts'
import type { NewId } from '../../lib/ids.ts'
import type { Logger } from '../../lib/logger.ts'
import { readInstanceSecret } from '../../secrets/instance-secret.ts'
import type { Keyring } from '../../secrets/keyring.ts'
import { createLibraryAdapter } from './library-adapter.ts'
import { translateLibraryError } from './library-errors.ts'
import { ADDRESS_HEADER, libraryOptions, twoFactorOptions } from './library-options.ts'
import { createSessionCookies, type SessionCookies } from './session-cookie.ts'
import { createTurns } from './turns.ts'

/** All of the sign-in library that can be reached. */
export type LibraryPath =
  | '/sign-in/email'
  | '/reset-password'
  | '/change-password'
  | '/two-factor/enable'
  | '/two-factor/disable'
  | '/two-factor/verify-totp'
  | '/two-factor/verify-backup-code'
  | '/two-factor/generate-backup-codes'

export interface LibraryRequest {
  body: object
  /** A `Cookie` header with the cookies that this call is about, and no others. */
  cookie: string | null
  address: string | null
  userAgent: string | null
}

export interface LibraryAnswer {
  body: Readonly<Record<string, unknown>>
  /** `Set-Cookie` values. */
  setCookies: string[]
}

export interface SignIn {
  readonly cookies: SessionCookies
  /** Calls the library; its errors become `auth.…`. Throws `auth.busy` when too many passwords are being checked. */
  call(path: LibraryPath, request: LibraryRequest): Promise<LibraryAnswer>
  /** A hash for `createPerson()`. */
  hashPassword(password: string): Promise<string>
}

interface Library {
  handler(request: Request): Promise<Response>
  hashPassword(password: string): Promise<string>
}

/** Checking one password takes 32 MB and a core for a moment. */
const CHECKS_AT_ONCE = 2
const MAX_WAITING_CHECKS = 40

/**
 * Sign-in for this instance. The library (30 MB) is loaded when somebody first signs in or changes how; requests of
 * people who did are checked by `authenticateSession()` alone.
 */
export async function createSignIn(deps: {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'seal' | 'open'>
  log: Pick<Logger, 'error'>
  config: { publicBaseUrl: string; sessionDays: number }
}): Promise<SignIn> {
  const { publicBaseUrl, sessionDays } = deps.config
  const secret = (await readInstanceSecret(deps, 'sign-in')).toString('base64')
  const cookies = createSessionCookies({ publicBaseUrl, secret, sessionDays })
  let loading: Promise<Library> | undefined
  const load = () => (loading ??= loadLibrary({ ...deps, publicBaseUrl, secret, cookies }))
  const inTurn = createTurns({ atOnce: CHECKS_AT_ONCE, waiting: MAX_WAITING_CHECKS })
  return {
    cookies,
    call: (path, request) =>
      inTurn(async () => {
        const library = await load()
        return await answerOf(library, toRequest(publicBaseUrl, path, request))
      }),
    hashPassword: (password) => inTurn(async () => (await load()).hashPassword(password)),
  }
}

async function loadLibrary(deps: {
  db: Database
  newId: NewId
  log: Pick<Logger, 'error'>
  publicBaseUrl: string
  secret: string
  cookies: SessionCookies
}): Promise<Library> {
  const [{ betterAuth }, { twoFactor }, { createAdapterFactory }, { hashPassword }] =
    await Promise.all([
      import('better-auth/minimal'),
      import('better-auth/plugins/two-factor'),
      import('better-auth/adapters'),
      import('better-auth/crypto'),
    ])
  const adapter = createLibraryAdapter(deps.db)
  const { handler } = betterAuth({
    ...libraryOptions(deps),
    database: createAdapterFactory({
      config: {
        adapterId: 'nanoscale',
        supportsDates: false,
        supportsNumericIds: false,
        transaction: false,
      },
      adapter: () => adapter,
    }),
    plugins: [twoFactor(twoFactorOptions())],
  })
  return { handler, hashPassword }
}

function toRequest(publicBaseUrl: string, path: LibraryPath, request: LibraryRequest): Request {
  const headers = new Headers({
    'content-type': 'application/json',
    // Where the request came from was checked before it was routed here.
    origin: new URL(publicBaseUrl).origin,
  })
  if (request.cookie !== null) headers.set('cookie', request.cookie)
  if (request.address !== null) headers.set(ADDRESS_HEADER, request.address)
  if (request.userAgent !== null) headers.set('user-agent', request.userAgent.slice(0, 300))
  const url = new URL(`/api/auth${path}`, publicBaseUrl)
  return new Request(url, { method: 'POST', headers, body: JSON.stringify(request.body) })
}

async function answerOf(
  library: Pick<Library, 'handler'>,
  request: Request,
): Promise<LibraryAnswer> {
  const response = await library.handler(request)
  const body: unknown = await response.json().catch(() => null)
  if (!response.ok) throw translateLibraryError(response.status, body)
  if (typeof body !== 'object' || body === null) {
    throw new Error('The sign-in library answered without a body')
  }
  return { body: { ...body }, setCookies: response.headers.getSetCookie() }
}
