import { createHmac, createSign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { CreatedApp } from './controls/app-controls.ts'
import type { FakeGithub } from './start-fake-github.ts'

export interface Reply {
  status: number
  headers: Headers
  text: string
  body: Json
}

/** Of many shapes, which the tests compare: as untyped as `JSON.parse` gives it. */
export type Json = ReturnType<typeof JSON.parse>

interface Ask {
  auth?: string
  body?: unknown
  headers?: Readonly<Record<string, string>>
}

/** `ask(fake, 'GET /user', { auth: 'Bearer …' })`, to the API unless the path begins with `web:`. */
export async function ask(fake: FakeGithub, line: string, options: Ask = {}): Promise<Reply> {
  const [method = 'GET', path = '/'] = line.split(' ')
  const url = path.startsWith('web:') ? fake.webUrl + path.slice(4) : fake.apiUrl + path
  const { auth, body, headers } = options
  const isForm = body instanceof URLSearchParams
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      'user-agent': 'fake-github-tests',
      connection: 'close',
      ...(auth === undefined ? {} : { authorization: auth }),
      ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true && text !== ''
  const { status, headers: answered } = response
  return { status, headers: answered, text, body: isJson ? JSON.parse(text) : null }
}

export interface Claims {
  iss?: string | number
  iat?: number
  exp?: number
  alg?: string
}

/** A JSON web token of an App, by the clock of the tests. */
export function toJwt(app: CreatedApp, claims: Claims = {}, privateKey = app.privateKey): string {
  const { alg = 'RS256', ...rest } = claims
  const now = Math.floor(Date.now() / 1000)
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = { iss: app.clientId, iat: now - 60, exp: now + 540, ...rest }
  const signed = `${encode({ alg, typ: 'JWT' })}.${encode(body)}`
  const signature = createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url')
  return `Bearer ${signed}.${signature}`
}

/** Mints a token and fails when it is not given. */
export async function mint(
  fake: FakeGithub,
  app: CreatedApp,
  installationId: number,
  body: object = {},
): Promise<string> {
  const line = `POST /app/installations/${installationId}/access_tokens`
  const { status, body: answer, text } = await ask(fake, line, { auth: toJwt(app), body })
  if (status !== 201) throw new Error(`No token: ${status} ${text}`)
  return `Bearer ${(answer as { token: string }).token}`
}

export interface Received {
  headers: IncomingHttpHeaders
  body: Buffer
  payload: Json
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  readonly received: Received[]
  /** Of the answers from now on; null never answers. */
  status: number | null
}

/** Somebody's webhook: keeps what comes in the order it came. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const text = body.toString()
      const json = text.startsWith('payload=') ? new URLSearchParams(text).get('payload') : text
      received.push({ headers: request.headers, body, payload: JSON.parse(json ?? 'null') })
      if (receiver.status !== null) response.writeHead(receiver.status).end('thanks')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    status: 202,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return receiver
}

export function signBody(secret: string, body: Buffer): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

/** Ada owns the organization acme, Bob is its member, Eve a stranger; acme/shop is private. */
export async function seedWorld(fake: FakeGithub) {
  for (const login of ['ada', 'bob', 'eve']) fake.addUser({ login })
  fake.addOrganization({ login: 'acme', members: { ada: 'admin', bob: 'member' } })
  return await fake.addRepository({
    owner: 'acme',
    name: 'shop',
    private: true,
    files: { 'index.html': 'shop' },
  })
}

/** The App of most tests, not installed. */
export async function seedApp(
  fake: FakeGithub,
  draft: Partial<Parameters<FakeGithub['createApp']>[0]> = {},
): Promise<CreatedApp> {
  return await fake.createApp({
    owner: 'ada',
    name: 'Deployer',
    permissions: { contents: 'read', metadata: 'read', repository_hooks: 'write' },
    events: ['push', 'repository'],
    callbackUrls: ['http://127.0.0.1:1/callback'],
    ...draft,
  })
}
