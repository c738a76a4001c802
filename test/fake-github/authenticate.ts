import { createPublicKey, verify } from 'node:crypto'

import type { Actor } from './access.ts'
import { appOf } from './access.ts'
import { ApiError } from './answer.ts'
import { entry, now } from './github.ts'
import type { Github } from './github.ts'
import type { App } from './state.ts'

const JWT_MAX_SECONDS = 600

/** Who an `Authorization` header speaks for. Throws the 401 that GitHub answers to a wrong one. */
export function authenticate(github: Github, authorization: string | undefined): Actor {
  if (authorization === undefined) return { kind: 'anonymous' }
  const [scheme = '', ...rest] = authorization.split(' ')
  const credential = rest.join(' ').trim()
  switch (scheme.toLowerCase()) {
    case 'basic':
      return authenticateBasic(github, credential)
    case 'bearer':
    case 'token':
      if (/^gh[a-z]_/.test(credential)) return authenticateToken(github, credential)
      if (credential.split('.').length === 3) return authenticateApp(github, credential)
  }
  throw badCredentials()
}

function badCredentials(): ApiError {
  return new ApiError(401, 'Bad credentials')
}

/** An OAuth client by id and secret, or a token as the password of any name. */
function authenticateBasic(github: Github, credential: string): Actor {
  const text = Buffer.from(credential, 'base64').toString()
  const colon = text.indexOf(':')
  const name = text.slice(0, colon)
  const password = text.slice(colon + 1)
  if (/^gh[a-z]_/.test(password)) return authenticateToken(github, password)
  for (const app of github.state.apps.values()) {
    if (app.clientId === name && app.clientSecrets.includes(password))
      return { kind: 'client', app }
  }
  throw badCredentials()
}

export function authenticateToken(github: Github, text: string): Actor {
  const token = github.state.installationTokens.get(text) ?? github.state.userTokens.get(text)
  if (token === undefined) throw badCredentials()
  if (token.expiresAt !== null && token.expiresAt <= now(github)) throw badCredentials()
  if (token.unknownFor > 0) {
    token.unknownFor -= 1
    throw badCredentials()
  }
  if (token.kind === 'user') {
    const user = github.state.accounts.get(token.userId)
    if (user === undefined) throw badCredentials()
    const app = token.appId === null ? null : entry(github.state.apps, token.appId)
    return { kind: 'user', user, app, token }
  }
  const installation = github.state.installations.get(token.installationId)
  if (installation === undefined) throw badCredentials()
  if (installation.suspended !== null) {
    throw new ApiError(403, 'This installation has been suspended')
  }
  return { kind: 'installation', installation, app: appOf(github, installation), token }
}

function authenticateApp(github: Github, jwt: string): Actor {
  const undecodable = () => new ApiError(401, 'A JSON web token could not be decoded')
  const [head = '', body = '', signature = ''] = jwt.split('.')
  const header = readJson(head)
  const claims = readJson(body)
  if (header === null || claims === null || header['alg'] !== 'RS256') throw undecodable()
  const issuer = typeof claims['iss'] === 'number' ? String(claims['iss']) : claims['iss']
  const app = [...github.state.apps.values()].find(({ id, clientId }) => {
    return issuer === String(id) || issuer === clientId
  })
  if (app === undefined) throw new ApiError(404, 'Integration not found')
  const signed = Buffer.from(`${head}.${body}`)
  if (!isSignedBy(app, signed, Buffer.from(signature, 'base64url'))) throw undecodable()
  checkTimes(github, claims)
  return { kind: 'app', app }
}

function readJson(part: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function isSignedBy(app: App, signed: Buffer, signature: Buffer): boolean {
  return app.publicKeys.some((key) => {
    return verify('RSA-SHA256', signed, createPublicKey(key), signature)
  })
}

function checkTimes(github: Github, { iat, exp }: Record<string, unknown>): void {
  const seconds = Math.floor(now(github) / 1000)
  const skew = github.limits.jwtSkewSeconds
  if (typeof exp !== 'number' || exp <= seconds) {
    throw new ApiError(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    )
  }
  if (exp > seconds + JWT_MAX_SECONDS) {
    throw new ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
  }
  if (typeof iat !== 'number' || !Number.isInteger(iat) || iat > seconds + skew) {
    throw new ApiError(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    )
  }
}
