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
  const { signal, tellFailure } = options
  const iterator = events[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  let isOver = false
  const end = () => {
    isOver = true
    options.onEnd()
  }
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      const cut = () => {
        if (isOver) return
        controller.error(brokenOff())
        end()
        iterator.return?.().catch(() => {})
      }
      // A client that goes cancels in the same turn, which needs no cutting.
      signal.addEventListener('abort', () => setImmediate(cut), { once: true })
    },
    pull: async (controller) => {
      try {
        const next = await iterator.next()
        if (isOver || signal.aborted) return
        if (next.done !== true) {
          return controller.enqueue(encoder.encode(`${JSON.stringify(next.value.data)}\n`))
        }
        end()
        controller.close()
      } catch (error) {
        if (isOver || signal.aborted) return
        tellFailure(error)
        end()
        controller.error(brokenOff())
      }
    },
    cancel: async () => {
      end()
      await iterator.return?.()
    },
  })
  const headers = { 'content-type': 'application/x-ndjson', 'x-accel-buffering': 'no' }
  return new Response(body, { headers })
}

/** For an error with this code the HTTP server cuts the connection; of others it would send the text. */
function brokenOff(): Error {
  return Object.assign(new Error('The answer broke off'), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
}
