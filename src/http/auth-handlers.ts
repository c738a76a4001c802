import { signOut } from '../identity/own-account.ts'
import { readPerson } from '../identity/people.ts'
import {
  changePassword,
  requestPasswordReset,
  resetPassword,
} from '../identity/sign-in/passwords.ts'
import {
  disableSecondFactor,
  enableSecondFactor,
  generateBackupCodes,
  verifyBackupCode,
  verifyTotp,
} from '../identity/sign-in/second-factor.ts'
import type { BrowserRequest, CookieAnswer } from '../identity/sign-in/sign-in-deps.ts'
import { signInWithPassword } from '../identity/sign-in/sign-in-with-password.ts'
import { networkOf } from './client-address.ts'
import type { Handlers, RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { jsonResponse } from './json-response.ts'

type AuthHandlers = Pick<
  Handlers,
  Exclude<Extract<keyof Handlers, `auth.${string}`>, 'auth.providers'>
>

type AuthApp = Pick<HttpApp, 'db' | 'clock' | 'newId' | 'log' | 'mailer' | 'signIn' | 'config'>

export function authHandlers(app: AuthApp): AuthHandlers {
  return {
    'auth.signIn': async ({ body }, request) =>
      withCookies(await signInWithPassword(app, body, browserOf(request))),
    'auth.signOut': async (_input, request) => {
      const { principal, actor } = request
      const cookie = await signOut(app, personOf(request), principal, actor)
      return jsonResponse(200, { status: true }, { setCookies: [cookie] })
    },
    'auth.session': async (_input, { principal }) => {
      if (principal?.kind !== 'user') return null
      const person = await readPerson(app.db, principal.userId)
      if (person === undefined) return null
      const { id, email, name, two_factor_enabled: twoFactorEnabled } = person
      return { user: { id, email, name, twoFactorEnabled } }
    },
    'auth.verifyTotp': async ({ body }, request) =>
      withCookies(await verifyTotp(app, body.code, browserOf(request))),
    'auth.verifyBackupCode': async ({ body }, request) =>
      withCookies(await verifyBackupCode(app, body.code, browserOf(request))),
    'auth.enableTwoFactor': async ({ body }, request) =>
      withCookies(
        await enableSecondFactor(app, personOf(request), body.password, browserOf(request)),
      ),
    'auth.disableTwoFactor': async ({ body }, request) =>
      withCookies(
        await disableSecondFactor(app, personOf(request), body.password, browserOf(request)),
      ),
    'auth.generateBackupCodes': async ({ body }, request) =>
      withCookies(
        await generateBackupCodes(app, personOf(request), body.password, browserOf(request)),
      ),
    'auth.requestPasswordReset': async ({ body }, request) => {
      await requestPasswordReset(app, body.email, browserOf(request))
      return { status: true }
    },
    'auth.resetPassword': ({ body }, request) => resetPassword(app, body, browserOf(request)),
    'auth.changePassword': async ({ body }, request) => {
      const { currentPassword, newPassword } = body
      const given = { currentPassword, newPassword }
      return withCookies(await changePassword(app, personOf(request), given, browserOf(request)))
    },
  }
}

/** What signing in needs to know of the browser that asks. */
export function browserOf(request: RequestFacts): BrowserRequest {
  const { address, cookieHeader, requestId } = request
  return {
    cookieHeader,
    address,
    network: address === null ? null : networkOf(address),
    userAgent: request.headers.get('user-agent'),
    requestId,
  }
}

/** Whoever asks on a route for people. */
export function personOf(request: RequestFacts): { userId: string; email: string } {
  const { principal } = request
  if (principal?.kind !== 'user') throw new Error('A route of people was called by somebody else')
  return principal
}

export function withCookies(answer: CookieAnswer<object>, status = 200): Response {
  return jsonResponse(status, answer.body, { setCookies: answer.setCookies })
}
