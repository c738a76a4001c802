import { createHmac, randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'

import { entry, now, track } from './github.ts'
import type { Github } from './github.ts'
import { fail, postDelivery } from './post-delivery.ts'
import type { Outcome } from './post-delivery.ts'
import type { Delivery, HookConfig, HookTarget } from './state.ts'

/** Nothing larger is delivered, nor listed. */
const MAX_PAYLOAD_BYTES = 25 * 1024 * 1024
const DEFAULT_HOLD_MS = 1000

/** An event on its way to one hook. */
export interface Outgoing {
  guid: string
  target: HookTarget
  event: string
  action: string | null
  installationId: number | null
  repositoryId: number | null
  /** The payload as JSON. */
  body: string
}

type Attempt = Outgoing & { redelivery: boolean; throttledAt: number | null }

/** Deliveries that wait to be overtaken, by hook. */
const held = new WeakMap<Github, Map<string, (() => void)[]>>()

export function newGuid(): string {
  return randomUUID()
}

/** Sends an event to one hook, beside what goes on, with whatever faults are due. */
export function deliver(github: Github, outgoing: Outgoing): void {
  const config = findConfig(github, outgoing.target)
  if (config === null || Buffer.byteLength(outgoing.body) > MAX_PAYLOAD_BYTES) return
  const faults = github.faults.takeDelivery(`${outgoing.event} ${config.url}`)
  const attempt: Attempt = { ...outgoing, redelivery: false, throttledAt: null }
  const drop = faults.find(({ kind }) => kind === 'drop')
  if (drop !== undefined) return
  let copies = 1
  let unsent: string | null = null
  const waits: (() => Promise<void>)[] = []
  for (const fault of faults) {
    if (fault.kind === 'fail') unsent = fault.status ?? 'timed out'
    if (fault.kind === 'duplicate') copies += fault.copies ?? 1
    if (fault.kind === 'delay') {
      attempt.throttledAt = now(github)
      waits.push(() => pause(github, fault.ms))
    }
    if (fault.kind === 'reorder') {
      waits.push(() => holdBack(github, outgoing.target, fault.holdMs ?? DEFAULT_HOLD_MS))
    }
  }
  const isHeld = waits.length > 0
  const work = async () => {
    for (const wait of waits) await wait()
    if (github.stopping.signal.aborted) return
    if (unsent !== null) {
      record(github, attempt, config, fail(unsent), {}, 0)
      return
    }
    await Promise.all(Array.from({ length: copies }, () => send(github, attempt)))
    if (!isHeld) release(github, outgoing.target)
  }
  track(github, work())
}

/** Sends a delivery again, to where its hook points now and signed with what its secret is now. */
export function redeliver(github: Github, delivery: Delivery): void {
  track(github, send(github, { ...delivery, redelivery: true, throttledAt: null }))
}

export function findConfig(github: Github, target: HookTarget): HookConfig | null {
  const { apps, hooks } = github.state
  const config =
    target.kind === 'app' ? apps.get(target.appId)?.hook : hooks.get(target.hookId)?.config
  return config === undefined || config.url === '' ? null : config
}

async function send(github: Github, attempt: Attempt): Promise<void> {
  const config = findConfig(github, attempt.target)
  if (config === null) return
  const encoded =
    config.contentType === 'json'
      ? attempt.body
      : `payload=${new URLSearchParams([['', attempt.body]]).toString().slice(1)}`
  const bytes = Buffer.from(encoded)
  const headers = toHeaders(github, attempt, config, bytes)
  const startedAt = performance.now()
  const outcome = await postDelivery(config, headers, bytes, {
    deadlineMs: github.limits.deliveryDeadlineMs,
    signal: github.stopping.signal,
  })
  record(github, attempt, config, outcome, headers, (performance.now() - startedAt) / 1000)
}

function toHeaders(
  github: Github,
  { guid, target, event }: Attempt,
  config: HookConfig,
  bytes: Buffer,
): Record<string, string> {
  const isApp = target.kind === 'app'
  const targetId = isApp ? target.appId : entry(github.state.hooks, target.hookId).repositoryId
  const sign = (algorithm: string, secret: string) =>
    `${algorithm}=${createHmac(algorithm, secret).update(bytes).digest('hex')}`
  const { secret } = config
  return {
    accept: '*/*',
    'content-type':
      config.contentType === 'json' ? 'application/json' : 'application/x-www-form-urlencoded',
    'user-agent': 'GitHub-Hookshot/0fake00',
    'x-github-delivery': guid,
    'x-github-event': event,
    'x-github-hook-id': String(isApp ? target.appId : target.hookId),
    'x-github-hook-installation-target-id': String(targetId),
    'x-github-hook-installation-target-type': isApp ? 'integration' : 'repository',
    ...(secret === null || secret === ''
      ? {}
      : {
          'x-hub-signature': sign('sha1', secret),
          'x-hub-signature-256': sign('sha256', secret),
        }),
  }
}

function record(
  github: Github,
  attempt: Attempt,
  config: HookConfig,
  outcome: Outcome,
  requestHeaders: Record<string, string>,
  duration: number,
): void {
  if (github.stopping.signal.aborted) return
  const delivery: Delivery = {
    id: github.nextId(),
    guid: attempt.guid,
    target: attempt.target,
    event: attempt.event,
    action: attempt.action,
    installationId: attempt.installationId,
    repositoryId: attempt.repositoryId,
    redelivery: attempt.redelivery,
    url: config.url,
    body: attempt.body,
    requestHeaders,
    throttledAt: attempt.throttledAt,
    deliveredAt: now(github),
    duration: Math.round(duration * 100) / 100,
    ...outcome,
  }
  github.state.deliveries.set(delivery.id, delivery)
  forgetOld(github)
  if (attempt.target.kind !== 'repository') return
  const hook = github.state.hooks.get(attempt.target.hookId)
  if (hook === undefined) return
  hook.lastResponse = {
    code: outcome.statusCode,
    status: outcome.status === 'OK' ? 'active' : 'error',
    message: outcome.status,
  }
}

/** The map is in the order of time, so the old ones are at its start. */
function forgetOld(github: Github): void {
  const oldest = now(github) - github.limits.deliveryRetentionMs
  for (const { id, deliveredAt } of github.state.deliveries.values()) {
    if (deliveredAt >= oldest) return
    github.state.deliveries.delete(id)
  }
}

/** Those of a hook that are still listed, newest first. */
export function listDeliveries(github: Github, target: HookTarget): Delivery[] {
  forgetOld(github)
  const wanted = toKey(target)
  return [...github.state.deliveries.values()]
    .filter((delivery) => toKey(delivery.target) === wanted)
    .sort((a, b) => b.id - a.id)
}

function toKey(target: HookTarget): string {
  return target.kind === 'app' ? `app ${target.appId}` : `hook ${target.hookId}`
}

function pause(github: Github, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const { signal } = github.stopping
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}

/** Ends when the next delivery to the same hook was sent, or after `ms`. */
function holdBack(github: Github, target: HookTarget, ms: number): Promise<void> {
  const byHook = held.get(github) ?? new Map<string, (() => void)[]>()
  held.set(github, byHook)
  const overtaken = new Promise<void>((resolve) => {
    byHook.set(toKey(target), [...(byHook.get(toKey(target)) ?? []), resolve])
  })
  return Promise.race([overtaken, pause(github, ms)])
}

function release(github: Github, target: HookTarget): void {
  const waiting = held.get(github)?.get(toKey(target)) ?? []
  held.get(github)?.delete(toKey(target))
  for (const proceed of waiting) proceed()
}
