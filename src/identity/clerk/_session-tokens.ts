import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { SignJWT, type JWTHeaderParameters } from 'jose'

export interface TestKey {
  id: string
  privateKey: KeyObject
  publicKey: KeyObject
}

export function createTestKey(id: string): TestKey {
  return { id, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) }
}

export interface KeyServer extends AsyncDisposable {
  url: string
  requests: () => number
  /** What the next requests are answered with. */
  answer: (respond: (response: ServerResponse) => void) => void
  publish: (...keys: TestKey[]) => void
}

/** A server of keys, as Clerk has one for each instance. */
export async function startKeyServer(...keys: TestKey[]): Promise<KeyServer> {
  let requests = 0
  const respondWith = (published: TestKey[]) => (response: ServerResponse) => {
    const jwks = published.map(({ id, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid: id,
      use: 'sig',
      alg: 'RS256',
    }))
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: jwks }))
  }
  let respond = respondWith(keys)
  const server = createServer((_request, response) => {
    requests += 1
    respond(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    answer: (next) => {
      respond = next
    },
    publish: (...next) => {
      respond = respondWith(next)
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export interface TokenChanges {
  claims?: Record<string, unknown>
  header?: Partial<JWTHeaderParameters>
}

/** A session token as Clerk makes it; a claim that is undefined is left out. */
export async function signSession(
  key: TestKey,
  base: { issuer: string; now: number },
  { claims = {}, header = {} }: TokenChanges = {},
): Promise<string> {
  const seconds = Math.floor(base.now / 1000)
  const payload = {
    iss: base.issuer,
    sub: 'user_Ada',
    sid: 'sess_1',
    azp: 'https://app.example.com',
    iat: seconds,
    nbf: seconds - 10,
    exp: seconds + 60,
    v: 2,
    ...claims,
  }
  const given = Object.fromEntries(
    Object.entries(payload).filter(([, value]) => value !== undefined),
  )
  const protectedHeader = { alg: 'RS256', typ: 'JWT', kid: key.id, ...header }
  return await new SignJWT(given).setProtectedHeader(protectedHeader).sign(key.privateKey)
}
