import type { Actor } from '../../audit/actor.ts'
import { OperationError } from '../../lib/errors.ts'
import type { Secret } from '../../lib/secret.ts'
import { parseWebhookSecrets } from '../../lib/webhook-secrets.ts'
import { applyClerkEvent, type ApplyClerkEventDeps } from './apply-clerk-event.ts'
import { parseClerkEvent } from './parse-clerk-event.ts'
import { verifyClerkMessage } from './verify-clerk-message.ts'

/** Messages that wait for their turn; whoever comes then is told to come again, which Svix does. */
const MAX_WAITING = 100

export interface ClerkMessage {
  /** As received: the signature is over these bytes. */
  rawBody: Uint8Array
  headers: Headers
  address: string | null
  requestId: string | null
}

export interface ReceivedClerkMessage {
  status: 'applied' | 'stale' | 'duplicate' | 'ignored'
  reason: string | null
}

export interface ClerkWebhook {
  /**
   * Answers a message of Clerk. Throws `clerk.not_configured`, `clerk.invalid_signature` (for whatever is wrong with
   * it), `clerk.malformed`, `clerk.busy`; anything else is a failure of ours, after which Clerk sends it again.
   */
  receive(message: ClerkMessage): Promise<ReceivedClerkMessage>
}

interface ClerkWebhookDeps extends Omit<ApplyClerkEventDeps, 'by' | 'config'> {
  config: ApplyClerkEventDeps['config'] & { clerkWebhookSecret: Secret | null }
}

/** What Clerk sends to. Messages take turns, so that a flood of them holds one connection to the database. */
export function createClerkWebhook(deps: ClerkWebhookDeps): ClerkWebhook {
  const secret = deps.config.clerkWebhookSecret
  const keys = secret === null ? null : parseWebhookSecrets(secret.reveal())
  const inTurn = createTurns(MAX_WAITING)
  return {
    receive: async (message) => {
      if (keys === null) {
        throw new OperationError(
          'clerk.not_configured',
          'Cannot receive messages of Clerk: NANOSCALE_CLERK_WEBHOOK_SECRET is not set',
        )
      }
      const verified = verifyClerkMessage(message, keys, deps.clock.now())
      if (!verified.valid) {
        deps.log.warn('A message of Clerk was refused', { reason: verified.reason })
        throw new OperationError(
          'clerk.invalid_signature',
          'Cannot accept this message: its signature is not valid',
        )
      }
      const parsed = parseClerkEvent(message.rawBody)
      if (parsed.kind === 'ignored') return { status: 'ignored', reason: parsed.reason }
      if (parsed.kind === 'malformed') {
        const { problem } = parsed
        deps.log.error('A message of Clerk is malformed', { message: verified.id, problem })
        throw new OperationError('clerk.malformed', `Cannot read this message: ${problem}`)
      }
      const by = { ...CLERK, address: message.address, requestId: message.requestId }
      const status = await inTurn(() => applyClerkEvent({ ...deps, by }, parsed.event, verified.id))
      return { status, reason: null }
    },
  }
}

const CLERK: Pick<Actor, 'kind' | 'id' | 'name'> = { kind: 'provider', id: null, name: 'Clerk' }

/** Runs what it is given one after another. Throws `clerk.busy` when too many wait. */
function createTurns(max: number) {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (waiting >= max) {
      throw new OperationError('clerk.busy', 'Cannot take another message now: send it again later')
    }
    waiting += 1
    const mine = last.then(work)
    last = mine.catch(() => {})
    try {
      return await mine
    } finally {
      waiting -= 1
    }
  }
}
