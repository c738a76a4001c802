import { Worker } from 'node:worker_threads'

import { messageOf, OperationError } from '../lib/errors.ts'
import type { BodyOrder } from './body-worker.ts'
import { digestBody, type DigestedBody } from './digest-body.ts'
import { SMALL_BYTES } from './read-body.ts'

/** Digests bodies: small ones here, large ones in a thread of their own, one after another. */
export interface BodyReader extends AsyncDisposable {
  /** Takes the segments away. A body that the thread cannot cope with is one that is no JSON object. */
  read(event: string, segments: Uint8Array<ArrayBuffer>[]): Promise<DigestedBody>
}

const DEADLINE_MS = 10_000
/** The thread takes 40 MB: it goes when nothing large came for this long. */
const IDLE_MS = 30_000
/** Hostile JSON takes thirty times its size; then the thread ends, and nothing else. */
const MAX_HEAP_MB = 384

const UNREADABLE: DigestedBody = { facts: null, compressed: null }

export function createBodyReader(): BodyReader {
  let thread: Worker | null = null
  let idle: NodeJS.Timeout | undefined
  let queue: Promise<unknown> = Promise.resolve()
  const end = async () => {
    const ending = thread
    thread = null
    await ending?.terminate()
  }
  const digest = async (order: BodyOrder): Promise<DigestedBody> => {
    clearTimeout(idle)
    thread ??= startThread()
    let answered: DigestedBody | null = null
    try {
      answered = await askThread(thread, order)
    } finally {
      // One that failed would never answer the next body.
      if (answered === null) await end()
    }
    idle = setTimeout(() => void end(), IDLE_MS).unref()
    return answered ?? UNREADABLE
  }
  return {
    read: async (event, segments) => {
      const bytes = segments.reduce((sum, segment) => sum + segment.length, 0)
      if (bytes <= SMALL_BYTES) return digestBody(event, Buffer.concat(segments))
      const turn = queue.then(() => digest({ event, segments }))
      queue = turn.catch(() => {})
      return await turn
    },
    [Symbol.asyncDispose]: async () => {
      clearTimeout(idle)
      await queue
      clearTimeout(idle)
      await end()
    },
  }
}

function startThread(): Worker {
  const thread = new Worker(new URL('./body-worker.ts', import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    env: {},
  })
  thread.unref()
  return thread
}

/** Null when the thread died or took too long: nothing more can be asked of it. */
async function askThread(thread: Worker, order: BodyOrder): Promise<DigestedBody | null> {
  const answer = Promise.withResolvers<DigestedBody | null>()
  const onError = (error: unknown) => {
    if (isOutOfMemory(error)) answer.resolve(null)
    else answer.reject(failed(error))
  }
  const onExit = () => answer.resolve(null)
  const timer = setTimeout(onExit, DEADLINE_MS)
  thread.once('message', answer.resolve).once('error', onError).once('exit', onExit)
  try {
    thread.postMessage(
      order,
      order.segments.map(({ buffer }) => buffer),
    )
    return await answer.promise
  } finally {
    clearTimeout(timer)
    thread.off('message', answer.resolve).off('exit', onExit)
    // Kept until it has ended: an error without a listener would end this process.
    thread.off('error', onError).on('error', () => {})
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}

function failed(error: unknown): OperationError {
  return new OperationError(
    'webhook.unreadable',
    `Cannot read a large body in another thread: ${messageOf(error)}`,
    { cause: error },
  )
}
