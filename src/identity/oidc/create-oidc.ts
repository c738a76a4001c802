import type * as openidClient from 'openid-client'

import type { Clock } from '../../lib/clock.ts'
import { isOperationError, messageOf, OperationError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Secret } from '../../lib/secret.ts'
import { isLoopbackUrl, limitedFetch } from './limited-fetch.ts'

const METADATA_FOR_MS = 60 * 60 * 1000
const DEADLINE_SECONDS = 5
const MAX_SUBJECT_LENGTH = 255

export interface OidcConfig {
  oidcIssuer: string | null
  oidcClientId: string | null
  /** Null for a public client, which PKCE alone protects. */
  oidcClientSecret: Secret | null
  oidcName: string
  publicBaseUrl: string
}

/** Somebody at the provider: the pair is for ever, whatever their address is. */
export interface OidcSubject {
  issuer: string
  subject: string
  /** As the provider tells it; only ever shown. */
  name: string | null
}

export type OidcRedemption =
  | { kind: 'subject'; subject: OidcSubject }
  /** The person said no, or the provider did. */
  | { kind: 'denied' }
  | { kind: 'unavailable' }
  /** The answer was not one to the question; the log says why. */
  | { kind: 'invalid' }

/** What the provider sent the browser back with. */
export interface OidcAnswer {
  code?: string | undefined
  state: string
  iss?: string | undefined
  error?: string | undefined
}

/** The provider of single sign-on. */
export interface Oidc {
  readonly name: string
  readonly issuer: string
  readonly redirectUri: string
  /** Where to send the browser, and what must be kept until it is back. Throws `oidc.unavailable`. */
  authorize(state: string): Promise<{ url: string; verifier: string; nonce: string }>
  /** Exchanges the code and checks all that can be checked: signature, issuer, audience, nonce, time. */
  redeem(answer: OidcAnswer, expected: { verifier: string; nonce: string }): Promise<OidcRedemption>
}

interface OidcDeps {
  config: OidcConfig
  clock: Pick<Clock, 'now'>
  log: Logger
}

/** The provider that is configured, or null. Nothing is loaded or asked before somebody signs in. */
export function createOidc(deps: OidcDeps): Oidc | null {
  const { oidcIssuer, oidcClientId, oidcClientSecret, oidcName, publicBaseUrl } = deps.config
  if (oidcIssuer === null || oidcClientId === null) return null
  const redirectUri = `${publicBaseUrl}/api/auth/callback/oidc`
  const provider = rememberProvider(deps, {
    issuer: new URL(oidcIssuer),
    clientId: oidcClientId,
    clientSecret: oidcClientSecret,
  })
  return {
    name: oidcName,
    issuer: oidcIssuer,
    redirectUri,
    authorize: async (state) => {
      const { client, configuration } = await provider()
      const verifier = client.randomPKCECodeVerifier()
      const nonce = client.randomNonce()
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: 'openid profile',
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      })
      return { url: url.href, verifier, nonce }
    },
    redeem: async (answer, expected) => {
      try {
        const { client, configuration } = await provider()
        const tokens = await client.authorizationCodeGrant(
          configuration,
          addressOf(redirectUri, answer),
          {
            expectedState: answer.state,
            expectedNonce: expected.nonce,
            pkceCodeVerifier: expected.verifier,
            idTokenExpected: true,
          },
        )
        return subjectOf(tokens.claims())
      } catch (error) {
        return failureOf(deps, error)
      }
    },
  }
}

type Client = typeof openidClient
interface Provider {
  client: Client
  configuration: openidClient.Configuration
}

interface Registration {
  issuer: URL
  clientId: string
  clientSecret: Secret | null
}

/** Its metadata, asked for again after an hour, and at once after a failure: it may just have been restarting. */
function rememberProvider(deps: OidcDeps, registration: Registration): () => Promise<Provider> {
  let known: { provider: Promise<Provider>; until: number } | undefined
  return async () => {
    const now = deps.clock.now()
    if (known === undefined || known.until <= now) {
      known = { provider: discoverProvider(registration), until: now + METADATA_FOR_MS }
    }
    const mine = known
    try {
      return await mine.provider
    } catch (error) {
      if (known === mine) known = undefined
      deps.log.warn('The OpenID Connect provider cannot be used', { reason: reasonOf(error) })
      throw new OperationError(
        'oidc.unavailable',
        'Cannot sign in with the identity provider: it does not answer as it should. Try again in a moment',
        { cause: error },
      )
    }
  }
}

async function discoverProvider(registration: Registration): Promise<Provider> {
  const client = await import('openid-client')
  const { issuer, clientId, clientSecret } = registration
  const configuration = await client.discovery(
    issuer,
    clientId,
    undefined,
    authenticationOf(client, clientSecret),
    {
      timeout: DEADLINE_SECONDS,
      [client.customFetch]: limitedFetch,
      // Signatures are checked although TLS already vouches for the token endpoint.
      execute: [
        client.enableNonRepudiationChecks,
        ...(isLoopbackUrl(issuer) ? [client.allowInsecureRequests] : []),
      ],
    },
  )
  return { client, configuration }
}

/** As the provider says it wants the secret; in the body where it takes both, as encodings of the header differ. */
function authenticationOf(client: Client, secret: Secret | null) {
  if (secret === null) return client.None()
  const inBody = client.ClientSecretPost(secret.reveal())
  const inHeader = client.ClientSecretBasic(secret.reveal())
  return (...[server, ...rest]: Parameters<typeof inBody>) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    return (methods.includes('client_secret_post') ? inBody : inHeader)(server, ...rest)
  }
}

function addressOf(redirectUri: string, answer: OidcAnswer): URL {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries(answer)) {
    if (typeof value === 'string') url.searchParams.set(name, value)
  }
  return url
}

function subjectOf(
  claims: { iss: string; sub: string; [name: string]: unknown } | undefined,
): OidcRedemption {
  // OpenID Connect Core allows 255 ASCII characters.
  if (claims === undefined || !isSubject(claims.sub)) return { kind: 'invalid' }
  const name = typeof claims['name'] === 'string' ? shownName(claims['name']) : ''
  return {
    kind: 'subject',
    subject: { issuer: claims.iss, subject: claims.sub, name: name === '' ? null : name },
  }
}

/** People choose it themselves at many providers. */
function shownName(name: string): string {
  return name
    .replaceAll(/\p{Cc}/gu, '')
    .trim()
    .slice(0, 100)
    .toWellFormed()
}

function isSubject(subject: string): boolean {
  return subject.length <= MAX_SUBJECT_LENGTH && /^[\x20-\x7e]+$/.test(subject)
}

function failureOf(deps: OidcDeps, error: unknown): OidcRedemption {
  if (isOperationError(error, 'oidc.unavailable')) return { kind: 'unavailable' }
  if (codeOfProvider(error) === 'access_denied') return { kind: 'denied' }
  deps.log.warn('The answer of the OpenID Connect provider was refused', {
    reason: reasonOf(error),
  })
  const isUnreachable = chainOf(error).some((one) => isOperationError(one, 'oidc.unreachable'))
  return { kind: isUnreachable ? 'unavailable' : 'invalid' }
}

/** Messages and codes along the causes; never what was sent or received, which may be a credential. */
function reasonOf(error: unknown): string {
  const code = codeOfProvider(error)
  const messages = chainOf(error).map(messageOf)
  return [...(code === null ? [] : [code.slice(0, 100)]), ...messages].join(': ').slice(0, 500)
}

function chainOf(error: unknown): Error[] {
  const chain: Error[] = []
  for (let one = error; one instanceof Error && chain.length < 5; one = one.cause) chain.push(one)
  return chain
}

/** The `error` that an OAuth answer carries. */
function codeOfProvider(error: unknown): string | null {
  if (!(error instanceof Error) || !('error' in error)) return null
  return typeof error.error === 'string' ? error.error : null
}
