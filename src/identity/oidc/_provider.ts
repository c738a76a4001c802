/** A real OpenID Connect provider on this machine, with faults to inject, and a browser that signs in at it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose'
import { Provider, type Configuration } from 'oidc-provider'

export const CLIENT_ID = 'nanoscale'
export const CLIENT_SECRET = 'a-client-secret-of-the-test-provider'

/** What goes wrong from now on. */
export interface Faults {
  /** Connections are refused. */
  down?: boolean
  /** Nothing is answered, and nothing refused. */
  silent?: boolean
  /** Instead of the provider's own answer at this path. */
  answer?: { path: string; status: number; headers?: Record<string, string>; body: string }
  /** What the authorization request says at the provider, as if somebody had changed it on its way. */
  changedRequest?: Record<string, string>
  /** Another id token, signed by the provider's key unless `foreignKey`. */
  claims?: (claims: JWTPayload) => JWTPayload
  foreignKey?: boolean
}

export interface TestProvider extends AsyncDisposable {
  issuer: string
  /** Who signs in next. */
  subject: string
  faults: Faults
  /** How often its metadata were read. */
  discoveries: number
  /** A browser that knows nothing yet goes to `url` and signs in: the address that it is sent back to. */
  visit(url: string): Promise<URL>
}

interface ProviderOptions {
  redirectUri: string
  authentication?: 'client_secret_post' | 'client_secret_basic' | 'none'
}

export async function startProvider(options: ProviderOptions): Promise<TestProvider> {
  const own = await generateKeyPair('RS256', { extractable: true })
  const foreign = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(own.privateKey)), kid: 'test', use: 'sig', alg: 'RS256' }
  let handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const test: TestProvider = {
    issuer,
    subject: 'subject-1',
    faults: {},
    discoveries: 0,
    visit: (url) => visit(url, issuer),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
  const provider = new Provider(issuer, configurationOf(options, jwk))
  const serve = provider.callback()
  handle = async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', issuer)
    const { answer } = test.faults
    if (test.faults.down === true) return void request.socket.destroy()
    if (test.faults.silent === true) return
    if (pathname.startsWith('/.well-known/')) test.discoveries += 1
    if (answer?.path === pathname) {
      return void response.writeHead(answer.status, answer.headers).end(answer.body)
    }
    if (pathname === '/auth') changeRequest(request, test)
    if (pathname === '/token') changeIdToken(response, test, { own, foreign })
    if (!pathname.startsWith('/interaction/')) return await serve(request, response)
    const login = { login: { accountId: test.subject } }
    await provider.interactionFinished(request, response, login)
  }
  return test
}

function configurationOf(options: ProviderOptions, jwk: object): Configuration {
  const method = options.authentication ?? 'client_secret_post'
  return {
    clients: [
      {
        client_id: CLIENT_ID,
        ...(method === 'none' ? {} : { client_secret: CLIENT_SECRET }),
        redirect_uris: [options.redirectUri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: method,
      },
    ],
    clientAuthMethods: [method],
    jwks: { keys: [jwk] },
    cookies: { keys: ['of-the-test-provider'] },
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['name'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, name: `Name of ${accountId}`, email: 'ada@example.com' }),
    }),
    // Nobody is asked for consent.
    loadExistingGrant: async (context) => {
      const { client, session, provider } = context.oidc
      const grant = new provider.Grant({
        clientId: client?.clientId ?? '',
        accountId: session?.accountId ?? '',
      })
      grant.addOIDCScope('openid profile')
      await grant.save()
      return grant
    },
  }
}

function changeRequest(request: IncomingMessage, test: TestProvider): void {
  const url = new URL(request.url ?? '/', test.issuer)
  for (const [name, value] of Object.entries(test.faults.changedRequest ?? {})) {
    url.searchParams.set(name, value)
  }
  request.url = `${url.pathname}${url.search}`
}

interface Keys {
  own: { privateKey: CryptoKey }
  foreign: { privateKey: CryptoKey }
}

function changeIdToken(response: ServerResponse, test: TestProvider, keys: Keys): void {
  const { claims, foreignKey } = test.faults
  if (claims === undefined && foreignKey !== true) return
  const end = response.end.bind(response)
  const change = async (body: string) => {
    const answer = JSON.parse(body) as { id_token: string }
    const [, payload = ''] = answer.id_token.split('.')
    const told = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JWTPayload
    const key = foreignKey === true ? keys.foreign : keys.own
    answer.id_token = await new SignJWT(claims?.(told) ?? told)
      .setProtectedHeader({ alg: 'RS256', kid: 'test' })
      .sign(key.privateKey)
    response.removeHeader('content-length')
    end(JSON.stringify(answer))
  }
  response.end = ((body: string) => {
    change(body).catch((error: unknown) => response.destroy(error as Error))
    return response
  }) as typeof response.end
}

async function visit(start: string, issuer: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = new URL(start)
  for (let step = 0; step < 10; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
    const location = response.headers.get('location')
    if (location === null) throw new Error(`${url.pathname}: ${await response.text()}`)
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';')[0]?.split('=') ?? []
      cookies.set(name, value)
    }
    url = new URL(location, url)
    if (url.origin !== issuer) return url
  }
  throw new Error(`The browser went in circles, last to ${url.href}`)
}
