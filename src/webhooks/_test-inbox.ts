/** An inbox behind a real HTTP server, over a real database, with what a host would send. */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { Database } from '../database/database.ts'
import type { ReconcileOutcome } from '../deployments/reconcile-branch.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createLogger } from '../lib/logger.ts'
import { APP_ID, INSTALLATION, keyring, REPO, SECRET } from './_test-hooks.ts'
import type { LifecycleEvent } from './plan-delivery.ts'
import type { LifecycleOutcome } from './process-delivery.ts'
import { startWebhooks, type Webhooks } from './start-webhooks.ts'

type Push = { before: string; after: string | null }

interface Observed {
  db: Database
  lines: string[]
  looks: { projectId: string; push: Push }[]
  events: LifecycleEvent[]
  /** What looking finds; replace it to fail. */
  onLook: (projectId: string, push: Push) => Promise<ReconcileOutcome>
  onEvent: (event: LifecycleEvent) => Promise<LifecycleOutcome>
}

export interface TestInbox extends Observed, AsyncDisposable {
  port: number
  webhooks: Webhooks
  post(body: string | Uint8Array, options?: PostOptions): Promise<Answer>
  /** Resolves when nothing is left to work on. */
  settled(): Promise<void>
}

export interface PostOptions {
  path?: string
  method?: string
  secret?: string
  event?: string
  guid?: string
  signature?: string | null
  headers?: Record<string, string>
}

export interface Answer {
  status: number
  body: Record<string, unknown>
  headers: Headers
}

export async function openInbox(
  db: Database,
  options: { clock?: Clock; bodyDeadlineMs?: number } = {},
): Promise<TestInbox> {
  const lines: string[] = []
  const clock = options.clock ?? systemClock
  const inbox: Observed = {
    db,
    lines,
    looks: [],
    events: [],
    onLook: () => Promise.resolve({ kind: 'unchanged', head: 'a'.repeat(40) }),
    onEvent: () => Promise.resolve({ kind: 'done' }),
  }
  const webhooks = startWebhooks({
    ...options,
    db,
    clock,
    newId,
    keyring,
    log: createLogger({ level: 'info', write: (line) => lines.push(line) }),
    reconcile: (projectId, push) => {
      inbox.looks.push({ projectId, push })
      return inbox.onLook(projectId, push)
    },
    lifecycle: (event) => {
      inbox.events.push(event)
      return inbox.onEvent(event)
    },
  })
  const server = createServer((request, response) => {
    const publicId = request.url?.split('/').at(-1) ?? ''
    const hook = publicId === 'environment' ? publicId : { publicId }
    void webhooks.receive(request, response, { hook, network: '192.0.2.1' })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return Object.assign(inbox, {
    port,
    webhooks,
    post: (body: string | Uint8Array, given: PostOptions = {}) => post(port, body, given),
    settled: () => settle(db),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await webhooks[Symbol.asyncDispose]()
    },
  })
}

export function signatureOf(body: string | Uint8Array, secret = SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

export function headersOf(body: string | Uint8Array, options: PostOptions = {}) {
  const signature = options.signature === undefined ? signatureOf(body, options.secret) : null
  return {
    'content-type': 'application/json',
    'x-github-event': options.event ?? 'push',
    'x-github-delivery': options.guid ?? newId(),
    'x-github-hook-installation-target-type': 'integration',
    'x-github-hook-installation-target-id': String(APP_ID),
    ...(signature === null ? {} : { 'x-hub-signature-256': signature }),
    ...(typeof options.signature === 'string' ? { 'x-hub-signature-256': options.signature } : {}),
    ...options.headers,
  }
}

async function post(
  port: number,
  body: string | Uint8Array,
  options: PostOptions,
): Promise<Answer> {
  const { path = '/hooks/app-hook', method = 'POST' } = options
  const bodyless = method === 'GET' || method === 'HEAD'
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: headersOf(body, options),
    ...(bodyless ? {} : { body: Buffer.from(body) }),
  })
  const text = await response.text()
  const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  return { status: response.status, body: parsed, headers: response.headers }
}

async function settle(db: Database): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    const waiting = await db
      .selectFrom('webhook_deliveries')
      .select('id')
      .where('state', '=', 'received')
      .where('attempts', '=', 0)
      .limit(1)
      .executeTakeFirst()
    if (waiting === undefined) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('Deliveries are still waiting')
}

export function pushOf(change: Record<string, unknown> = {}): string {
  return JSON.stringify({
    ref: 'refs/heads/main',
    before: 'a'.repeat(40),
    after: 'b'.repeat(40),
    repository: { id: REPO, full_name: 'acme/shop' },
    installation: { id: INSTALLATION },
    sender: { id: 5, login: 'ada' },
    commits: [],
    ...change,
  })
}
