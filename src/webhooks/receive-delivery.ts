import type { IncomingMessage, ServerResponse } from 'node:http'

import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { sendAnswer, type AnswerName } from './answers.ts'
import type { BodyReader } from './body-reader.ts'
import type { FailedVerifications } from './failed-verifications.ts'
import type { Hook, HookName } from './find-hook.ts'
import { MAX_BODY_BYTES, readBody, SMALL_BYTES, type BodyMemory } from './read-body.ts'
import type { DeliveryRecorder } from './record-delivery.ts'
import type { Rejections } from './rejections.ts'
import { startSignatureCheck, type SigningSecret } from './verify-signature.ts'

/** Failures of one address at one hook that are verified at full length, a minute. */
export const FAILURES_PER_MINUTE = 30

/** Where a delivery came from, and whom it is for. */
export interface Arrival {
  hook: HookName
  /** What limits count by: an address or its network. */
  network: string
}

export interface ReceiveDeps {
  log: Logger
  findHook(name: HookName): Promise<Hook | null>
  memory: BodyMemory
  reader: BodyReader
  recorder: DeliveryRecorder
  failures: FailedVerifications
  rejections: Rejections
  /** Something was stored that is to be worked on. */
  wake(): void
  bodyDeadlineMs?: number
}

interface Outcome {
  answer: AnswerName
  deliveryId: string | null
}

interface Head {
  event: string
  deliveryId: string
  targetId: number | null
  signature: string
}

/** Takes one delivery: whoever gets a 2xx may forget it, since it is stored. Never rejects. */
export async function receiveDelivery(
  deps: ReceiveDeps,
  request: IncomingMessage,
  response: ServerResponse,
  arrival: Arrival,
): Promise<void> {
  // Who hangs up is not an error of ours.
  request.on('error', () => {})
  response.on('error', () => {})
  const outcome = await receive(deps, request, arrival).catch((error: unknown) => {
    deps.log.error('A delivery was not stored', { reason: messageOf(error) })
    return { answer: 'unavailable' as const, deliveryId: null }
  })
  if (outcome === null) return void response.destroy()
  const { answer, deliveryId } = outcome
  sendAnswer(response, answer, { deliveryId, unread: !request.complete })
}

async function receive(
  deps: ReceiveDeps,
  request: IncomingMessage,
  arrival: Arrival,
): Promise<Outcome | null> {
  const head = readHead(request)
  if (typeof head === 'string') return refuse(head)
  const hook = await deps.findHook(arrival.hook)
  // Addresses can be made up: all that name no hook count together.
  const key = `${arrival.network} ${hook?.id ?? ''}`
  const exhausted = deps.failures.isExhausted(key)
  // Small bodies are verified all the same: an attacker behind the same proxy must not lock out the host.
  if (exhausted && !(announced(request) <= SMALL_BYTES)) return refuse('throttled')
  const check = startSignatureCheck(hook?.secrets ?? NO_SECRETS, head.signature)
  const options = { memory: deps.memory, key: arrival.network }
  const read = await readBody(
    request,
    deps.bodyDeadlineMs === undefined ? options : { ...options, deadlineMs: deps.bodyDeadlineMs },
    (piece) => check.update(piece),
  )
  // Its bytes went through the check as well: who breaks off at the end must not have it for nothing.
  if (read.kind !== 'complete' && read.bytes > SMALL_BYTES) deps.failures.note(key)
  if (read.kind === 'gone') return null
  if (read.kind !== 'complete') return refuse(read.kind)
  try {
    const secret = check.verify()
    if (hook === null || secret === null) {
      deps.rejections.note(hook?.id ?? null)
      deps.failures.note(key)
      return refuse(exhausted ? 'throttled' : 'unverified')
    }
    const bodyHash = check.bodyHash()
    return await keep(deps, { hook, head, secret, bodyHash, ...read })
  } finally {
    read.release()
  }
}

interface Verified {
  hook: Hook
  head: Head
  secret: SigningSecret
  bodyHash: string
  segments: Uint8Array<ArrayBuffer>[]
  bytes: number
}

async function keep(deps: ReceiveDeps, verified: Verified): Promise<Outcome> {
  const { hook, head, secret, bodyHash, bytes } = verified
  const body = await deps.reader.read(head.event, verified.segments)
  const { kind, id } = await deps.recorder.record({
    hookId: hook.id,
    organizationId: hook.organizationId,
    event: head.event,
    deliveryId: head.deliveryId,
    targetId: head.targetId,
    secret,
    bodyHash,
    bodyBytes: bytes,
    body,
  })
  if (body.facts === null) return { answer: 'malformed', deliveryId: id }
  if (kind === 'finished') return { answer: 'duplicate', deliveryId: id }
  deps.wake()
  return { answer: 'accepted', deliveryId: id }
}

const NO_SECRETS = { current: null, previous: null }

function refuse(answer: AnswerName): Outcome {
  return { answer, deliveryId: null }
}

const EVENT = /^[a-z_]{1,64}$/
const GUID = /^[A-Za-z0-9-]{1,100}$/
const ID = /^[1-9]\d{0,14}$/
const JSON_TYPE = /^application\/json\s*(?:;|$)/i

/** What can be told before the body is read. */
function readHead(request: IncomingMessage): Head | AnswerName {
  const { headers } = request
  const header = (name: string) => {
    const value = headers[name]
    return typeof value === 'string' ? value : ''
  }
  if (request.method !== 'POST') return 'method_not_allowed'
  if (headers['content-encoding'] !== undefined) return 'encoded'
  if (!JSON_TYPE.test(header('content-type'))) return 'unsupported_media_type'
  const event = header('x-github-event')
  const deliveryId = header('x-github-delivery')
  if (!EVENT.test(event) || !GUID.test(deliveryId)) return 'missing_headers'
  if (announced(request) > MAX_BODY_BYTES && headers['content-length'] !== undefined) {
    return 'too_large'
  }
  const target = header('x-github-hook-installation-target-id')
  const isApp = header('x-github-hook-installation-target-type') !== 'repository'
  return {
    event,
    deliveryId,
    targetId: isApp && ID.test(target) ? Number(target) : null,
    signature: header('x-hub-signature-256'),
  }
}

/** Bytes that the request says it has; infinitely many when it does not. */
function announced(request: IncomingMessage): number {
  const length = request.headers['content-length']
  return length === undefined ? Number.POSITIVE_INFINITY : Number(length)
}
