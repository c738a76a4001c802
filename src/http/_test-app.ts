/** An API over a real database, with stand-ins for what needs processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Database } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import { createDeploymentEvents } from '../deployments/deployment-events.ts'
import type { GithubHost } from '../githosts/github-host.ts'
import { createClerkWebhook } from '../identity/clerk/receive-clerk-message.ts'
import { createSessionCookies } from '../identity/sign-in/session-cookie.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createLogger, silentLogger } from '../lib/logger.ts'
import { createMailer } from '../mail/create-mailer.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { createRedactor } from '../secrets/redactor.ts'
import { readDelivery } from '../webhooks/list-deliveries.ts'
import {
  addPerson,
  addToken,
  type PersonOptions,
  type TestPerson,
  type TokenOptions,
} from './_test-people.ts'
import { buildApi } from './build-api.ts'
import type { Api, Channel } from './create-api.ts'
import type { HttpApp } from './http-app.ts'

export interface TestApp extends Disposable {
  app: HttpApp
  api: Api
  lines: string[]
  reconciled: string[]
  published: () => number
  stop: () => void
  /** As the operator over the socket, unless a token is given. */
  request: Ask
  tokenOf(organizationId: string, options?: TokenOptions): Promise<string>
  /** A new person of this role, or of no organization, who asks from a page of ours by a session's cookie. */
  as(role: Role | null, options?: PersonOptions): Promise<TestBrowser>
}

type Ask = (method: string, path: string, options?: SendOptions) => Promise<Response>
export type TestBrowser = Ask & TestPerson

/** The only origin from which browsers may change something. */
export const PUBLIC_URL = 'https://nanoscale.example.com'

export const REPO = { repo_url: 'https://git.example.com/you/shop', branch: 'main' }

export function testApp(db: Database, overrides: Partial<HttpApp> = {}): TestApp {
  const directory = mkdtempSync(join(tmpdir(), 'nanoscale-http-'))
  const lines: string[] = []
  const reconciled: string[] = []
  let published = 0
  const app: HttpApp = {
    ...standIns(db, directory),
    log: createLogger({ level: 'info', write: (line) => lines.push(line) }),
    deployments: {
      reconcile: (projectId) => {
        reconciled.push(projectId)
        return Promise.resolve({ kind: 'unchanged', head: 'a'.repeat(40) })
      },
      wake: () => {},
    },
    github: unreachableGithub(),
    githubRepositories: {
      sync: { refresh: () => Promise.reject(new Error('This test has no GitHub')) },
      branches: { list: () => Promise.reject(new Error('This test has no GitHub')) },
      hooks: { keep: () => Promise.reject(new Error('This test has no GitHub')) },
    },
    environmentApp: null,
    webhooks: {
      receive: () => Promise.reject(new Error('This test has no inbox')),
      replay: ({ organizationId, id }) => readDelivery(db, organizationId, id),
    },
    publishRoutes: () => {
      published += 1
      return Promise.resolve()
    },
    ...overrides,
  }
  const stopping = new AbortController()
  const api = buildApi(app, stopping.signal)
  return {
    app,
    api,
    lines,
    reconciled,
    published: () => published,
    stop: () => stopping.abort(),
    request: (method, path, options = {}) => send(api, method, path, options),
    tokenOf: async (organizationId, options) =>
      (await addToken(app, organizationId, options)).token,
    as: async (role, options) => {
      const { cookies } = app.signIn
      const person = await addPerson({ db, clock: app.clock, cookies }, role, options)
      const headers = { cookie: person.cookie, origin: PUBLIC_URL }
      const ask: Ask = (method, path, sent = {}) =>
        send(api, method, path, { token: null, ...sent, headers: { ...headers, ...sent.headers } })
      return Object.assign(ask, person)
    },
    [Symbol.dispose]: () => {
      stopping.abort()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function standIns(db: Database, directory: string) {
  return {
    config: {
      bind: '127.0.0.1',
      port: 0,
      dataDirectory: directory,
      baseDomain: 'apps.example.com',
      publicBaseUrl: PUBLIC_URL,
      trafficUrl: 'http://*.apps.example.com:8080',
      gitHosts: ['git.example.com'],
      pollIntervalSeconds: 60,
      runtime: 'process',
      database: { engine: 'sqlite', path: '' },
      trustedProxies: [],
      allowUnisolated: false,
      requestsPerMinute: 100_000,
      oidcIssuer: null,
      oidcName: 'Single sign-on',
    },
    db,
    clock: systemClock,
    newId,
    keyring: createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(7) }]),
    redactor: createRedactor(),
    // Checks sessions; tests of signing in give a real one.
    oidc: null,
    signIn: {
      cookies: createSessionCookies({ publicBaseUrl: PUBLIC_URL, secret: 'test', sessionDays: 7 }),
      call: () => Promise.reject(new Error('This test has no library to sign in with')),
      hashPassword: () => Promise.reject(new Error('This test has no library to sign in with')),
    },
    clerkWebhook: createClerkWebhook({
      db,
      clock: systemClock,
      newId,
      log: silentLogger,
      config: { clerkWebhookSecret: null, clerkIssuer: null, clerkRoles: {} },
    }),
    clerkSessions: null,
    mailer: createMailer({ smtpUrl: null, mailFrom: null, log: silentLogger }),
    events: createDeploymentEvents(),
    logPlaces: { directory: join(directory, 'logs'), rotatedDirectory: join(directory, 'rotated') },
    instance: {
      version: '0.0.0',
      startedAt: '2026-01-01T00:00:00.000Z',
      isolation: () => Promise.resolve('users'),
      doctor: () => Promise.resolve([]),
      keyStatus: () => Promise.resolve([]),
      rotateKeys: (onProgress) => {
        onProgress({ resealed: 1, total: 1 })
        return Promise.resolve()
      },
      retireKey: () => Promise.resolve(),
      readiness: () => Promise.resolve({ database: true }),
    },
  } satisfies Partial<HttpApp>
}

/** Tests of GitHub give a real one. */
function unreachableGithub(): GithubHost {
  return new Proxy({} as GithubHost, {
    get: () => () => Promise.reject(new Error('This test has no GitHub')),
  })
}

export interface SendOptions {
  body?: unknown
  /** Null: a request over the network without one. Left out: as the operator, over the socket. */
  token?: string | null
  headers?: Record<string, string>
  /** Of the connection's other end. */
  address?: string
}

async function send(
  api: Api,
  method: string,
  path: string,
  { body, token, headers, address = '192.0.2.1' }: SendOptions,
): Promise<Response> {
  const channel: Channel = token === undefined ? 'operator' : 'network'
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const init = {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(typeof token === 'string' ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body: text }),
  }
  return await api.request(path, init, { channel, address })
}

/** A second organization, to look at things of the first from. */
export async function addOrganization(db: Database, id: string): Promise<void> {
  const now = toIsoTime(systemClock.now())
  await db
    .insertInto('organizations')
    .values({ id, slug: id, name: id, created_at: now, updated_at: now })
    .execute()
}
