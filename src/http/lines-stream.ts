import type { StreamEvent } from './handler.ts'

interface LinesOptions {
  signal: AbortSignal
  /** Notes a failure: the status is sent already. */
  tellFailure: (error: unknown) => unknown
  /** Called when nothing will be sent any more. */
  onEnd: () => void
}

/**
 * An answer that sends each of `events` as a line of JSON. Its reader sets the pace. What ends before its last line cuts
 * the connection: half an export must not look like a whole one.
 */
export function linesResponse(events: AsyncIterable<StreamEvent>, options: LinesOptions): Response {
  const { signal, tellFailure, onEnd } = options
  const iterator = events[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      const onAbort = () => controller.error(signal.reason)
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    },
    pull: async (controller) => {
      try {
        const next = await iterator.next()
        if (signal.aborted) return
        if (next.done !== true) {
          return controller.enqueue(encoder.encode(`${JSON.stringify(next.value.data)}\n`))
        }
        controller.close()
        onEnd()
      } catch (error) {
        if (!signal.aborted) {
          tellFailure(error)
          controller.error(error)
        }
        onEnd()
      }
    },
    cancel: async () => {
      onEnd()
      await iterator.return?.()
    },
  })
  const headers = { 'content-type': 'application/x-ndjson', 'x-accel-buffering': 'no' }
  return new Response(body, { headers })
}
