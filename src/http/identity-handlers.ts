import { OAUTH_STATE_MS, type OauthPurpose } from '../identity/oauth-states.ts'
import { finishOidc, type OidcEnd } from '../identity/oidc/finish-oidc.ts'
import { listIdentities, removeIdentity } from '../identity/oidc/identities.ts'
import { startOidc } from '../identity/oidc/start-oidc.ts'
import { sessionIdOf } from '../identity/own-account.ts'
import { safeReturnPath } from '../identity/return-path.ts'
import { requireRecentSignIn } from '../identity/sign-in/sessions.ts'
import { refuseFurtherPeople } from './further-people.ts'
import type { Handlers, RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { jsonResponse } from './json-response.ts'

type IdentityHandlers = Pick<
  Handlers,
  | 'auth.providers'
  | 'oidc.start'
  | 'oidc.link'
  | 'oidc.callback'
  | 'identities.list'
  | 'identities.unlink'
>

type IdentityApp = Pick<
  HttpApp,
  'db' | 'clock' | 'newId' | 'keyring' | 'signIn' | 'oidc' | 'config' | 'instance'
>

/** Of the cookie that binds a trip to the provider to the browser that began it. */
const BINDING = 'oidc'

export function identityHandlers(app: IdentityApp): IdentityHandlers {
  const { db, oidc } = app
  return {
    'auth.providers': () =>
      Promise.resolve({ password: true, oidc: oidc === null ? null : { name: oidc.name } }),
    'oidc.start': async ({ body }, request) => {
      const invitationToken = body.invitation_token ?? null
      if (invitationToken !== null) await refuseFurtherPeople(app)
      return await start(app, request, {
        purpose: 'oidc.sign_in',
        userId: null,
        returnTo: body.return_to ?? null,
        invitationToken,
      })
    },
    'oidc.link': async ({ body }, request) => {
      await requireRecentSignIn(app, sessionIdOf(request.principal))
      return await start(app, request, {
        purpose: 'oidc.link',
        userId: personOf(request),
        returnTo: body.return_to ?? '/account',
        invitationToken: null,
      })
    },
    'oidc.callback': async ({ query }, request) => {
      const { cookies } = app.signIn
      const end = await finishOidc(
        { ...app, cookies },
        {
          answer: query,
          binding: cookies.readSigned(request.cookieHeader, BINDING),
          session: sessionOf(request),
          by: request.actor,
          from: { ipAddress: request.address, userAgent: request.headers.get('user-agent') },
        },
      )
      return redirectionOf(end)
    },
    'identities.list': async (_input, request) => {
      const rows = await listIdentities(db, personOf(request))
      const items = rows.map((row) => {
        const usable = row.issuer === oidc?.issuer
        return { ...row, name: usable ? oidc.name : row.issuer, usable }
      })
      return { items }
    },
    'identities.unlink': async ({ params }, request) => {
      await removeIdentity(app, {
        userId: personOf(request),
        identityId: params.id,
        usableIssuer: oidc?.issuer ?? null,
        by: request.actor,
      })
    },
  }
}

interface Start {
  purpose: OauthPurpose
  userId: string | null
  returnTo: string | null
  invitationToken: string | null
}

async function start(app: IdentityApp, request: RequestFacts, begun: Start): Promise<Response> {
  const { cookies } = app.signIn
  const had = cookies.readSigned(request.cookieHeader, BINDING)
  const { url, binding } = await startOidc(app, { ...begun, binding: had })
  const cookie = cookies.writeSigned(BINDING, binding, OAUTH_STATE_MS / 1000)
  return jsonResponse(200, { url }, { setCookies: [cookie] })
}

function redirectionOf(end: OidcEnd): Response {
  if (end.kind === 'signed_in') return redirectTo(end.returnTo, end.cookie)
  if (end.kind === 'linked') return redirectTo(end.returnTo)
  return redirectTo(`${end.whileLinking ? '/account' : '/sign-in'}?error=${end.error}`)
}

/** As "see other": the browser asks there with GET, and does not keep this address, which has the code. */
function redirectTo(path: string, cookie?: string): Response {
  const setCookies = cookie === undefined ? [] : [cookie]
  const response = jsonResponse(303, undefined, { setCookies })
  response.headers.set('location', safeReturnPath(path))
  return response
}

function personOf({ principal }: RequestFacts): string {
  if (principal?.kind === 'user') return principal.userId
  throw new Error('A route of people was called by somebody else')
}

function sessionOf({ principal }: RequestFacts): { userId: string; sessionId: string } | null {
  if (principal?.kind !== 'user' || principal.via.kind !== 'session') return null
  return { userId: principal.userId, sessionId: principal.via.sessionId }
}
