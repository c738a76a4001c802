import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Actor } from '../audit/actor.ts'
import { startLoop } from '../jobs/loop.ts'
import { messageOf } from '../lib/errors.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { createBodyReader } from './body-reader.ts'
import { createFailedVerifications } from './failed-verifications.ts'
import { findHook } from './find-hook.ts'
import type { DeliveryWithOutcomes } from './list-deliveries.ts'
import { startProcessing } from './process-deliveries.ts'
import type { ProcessDeps } from './process-delivery.ts'
import { createBodyMemory } from './read-body.ts'
import { FAILURES_PER_MINUTE, receiveDelivery, type Arrival } from './receive-delivery.ts'
import { createDeliveryRecorder } from './record-delivery.ts'
import { createRejections } from './rejections.ts'
import { replayDelivery } from './replay-delivery.ts'

/** The inbox: takes deliveries, and works on them. */
export interface Webhooks {
  /** Answers a request to a hook's address. */
  receive(request: IncomingMessage, response: ServerResponse, arrival: Arrival): Promise<void>
  /** Works on a delivery again; undefined when the organization has no such delivery. */
  replay(request: {
    organizationId: string
    id: string
    by: Actor
  }): Promise<DeliveryWithOutcomes | undefined>
}

interface WebhookDeps extends ProcessDeps {
  keyring: Pick<Keyring, 'seal' | 'open'>
  bodyDeadlineMs?: number
}

const COUNT_PAUSE_MS = 5000

/** Starts the inbox. Disposing leaves what is not done yet to the next process. */
export function startWebhooks(deps: WebhookDeps): Webhooks & AsyncDisposable {
  const reader = createBodyReader()
  const processing = startProcessing(deps)
  const rejections = createRejections(deps)
  const counting = startLoop(deps, { name: 'webhook-rejections', pauseMs: COUNT_PAUSE_MS }, () =>
    rejections.flush(),
  )
  const receiving = {
    ...deps,
    findHook: (name: Arrival['hook']) => findHook(deps, name),
    memory: createBodyMemory(),
    reader,
    recorder: createDeliveryRecorder(deps),
    failures: createFailedVerifications(deps.clock, FAILURES_PER_MINUTE),
    rejections,
    wake: () => processing.wake(),
  }
  return {
    receive: (request, response, arrival) => receiveDelivery(receiving, request, response, arrival),
    replay: async (request) => {
      const replayed = await replayDelivery({ ...deps, reader }, request)
      processing.wake()
      return replayed
    },
    [Symbol.asyncDispose]: async () => {
      await processing[Symbol.asyncDispose]()
      await counting[Symbol.asyncDispose]()
      await rejections.flush().catch((error: unknown) => {
        deps.log.warn('The last refused deliveries were not counted', { reason: messageOf(error) })
      })
      await reader[Symbol.asyncDispose]()
    },
  }
}
