import { isOperationError } from '../lib/errors.ts'
import type { StreamEvent } from './handler.ts'

/** Proxies close a stream that is silent for a minute. */
const HEARTBEAT_MS = 15_000
const RETRY_MS = 2000

interface StreamOptions {
  signal: AbortSignal
  format: 'events' | 'text'
  /** What to tell the client of a failure: its status is sent already. */
  tellFailure: (error: unknown) => { error: string }
  /** Called when nothing will be sent any more. */
  onEnd: () => void
}

/**
 * An answer that sends what `events` yields. Its reader sets the pace. When the signal aborts the stream ends, with a
 * hint when to come back; a reader who may not read any more is told so.
 */
export function streamResponse(
  events: AsyncIterable<StreamEvent>,
  options: StreamOptions,
): Response {
  const encode = options.format === 'text' ? encodeText : encodeEvent
  const closed = new AbortController()
  const signal = AbortSignal.any([options.signal, closed.signal])
  const iterator = chunks(events, { ...options, signal }, encode)
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const next = await iterator.next()
      if (next.done === true) controller.close()
      else controller.enqueue(encoder.encode(next.value))
    },
    cancel: async () => {
      // One that nobody began to read has no end of its own.
      options.onEnd()
      // What waits for the next event must not hold up the end.
      closed.abort()
      await iterator.return(undefined)
    },
  })
  const contentType = options.format === 'text' ? 'text/plain; charset=utf-8' : 'text/event-stream'
  // Tells a reverse proxy in front of us not to collect the stream.
  const headers = { 'content-type': contentType, 'x-accel-buffering': 'no' }
  return new Response(body, { headers })
}

async function* chunks(
  events: AsyncIterable<StreamEvent>,
  options: StreamOptions,
  encode: (event: StreamEvent) => string,
): AsyncGenerator<string> {
  const { signal } = options
  try {
    yield* chunksWhileOpen(events, options, encode)
    if (signal.aborted && isOperationError(signal.reason)) yield failure(signal.reason, options)
  } finally {
    options.onEnd()
  }
}

function failure(error: unknown, { format, tellFailure }: StreamOptions): string {
  const data = tellFailure(error)
  const encode = format === 'text' ? encodeText : encodeEvent
  return encode({ event: 'error', data, text: `${data.error}\n` })
}

async function* chunksWhileOpen(
  events: AsyncIterable<StreamEvent>,
  options: StreamOptions,
  encode: (event: StreamEvent) => string,
): AsyncGenerator<string> {
  const { signal, format } = options
  if (format === 'events') yield `retry: ${RETRY_MS}\n\n`
  const iterator = events[Symbol.asyncIterator]()
  try {
    let pending = ahead(iterator)
    while (!signal.aborted) {
      const next = await firstOf(pending, signal)
      if (next === 'silent') {
        if (format === 'events') yield ': still here\n\n'
        continue
      }
      if (next === 'stopped' || next.done === true) return
      const text = encode(next.value)
      pending = ahead(iterator)
      if (text !== '') yield text
    }
  } catch (error) {
    if (signal.aborted) return
    yield failure(error, options)
  } finally {
    // Not awaited: a generator that waits ends by the signal, and this answer must not wait for it.
    iterator.return?.().catch(() => {})
  }
}

/** Asked for before it is needed: when the reader goes meanwhile, its failure is nobody's and must not end the process. */
function ahead(iterator: AsyncIterator<StreamEvent>): Promise<IteratorResult<StreamEvent>> {
  const next = iterator.next()
  next.catch(() => {})
  return next
}

/** What comes first: the next event, fifteen silent seconds, or the end of the connection. */
async function firstOf<Value>(
  next: Promise<Value>,
  signal: AbortSignal,
): Promise<Value | 'silent' | 'stopped'> {
  const settled = Promise.withResolvers<'silent' | 'stopped'>()
  const onAbort = () => settled.resolve('stopped')
  const timer = setTimeout(() => settled.resolve('silent'), HEARTBEAT_MS)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([next, settled.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

function encodeEvent(event: StreamEvent): string {
  const id = event.id === undefined ? '' : `id: ${event.id}\n`
  const name = event.event === undefined ? '' : `event: ${event.event}\n`
  return `${id}${name}data: ${JSON.stringify(event.data)}\n\n`
}

function encodeText(event: StreamEvent): string {
  return event.text ?? ''
}
