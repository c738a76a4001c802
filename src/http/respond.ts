import type { RouteDefinition } from '../contract/route.ts'
import { OperationError } from '../lib/errors.ts'
import { streamResponse } from './event-stream.ts'
import type { EventAnswer, RequestFacts } from './handler.ts'
import { linesResponse } from './lines-stream.ts'

/** What is known of the one who is answered. */
export interface Respondent extends Pick<RequestFacts, 'signal' | 'prefersText'> {
  /** What to tell of a failure after the status was sent. */
  tellFailure: (error: unknown) => { error: string }
  /** Called when a stream is over. */
  onEnd: () => void
}

/** True for what is sent as long as there is something to send, beyond the deadline of requests. */
export function isStream({ response }: RouteDefinition): boolean {
  return response === 'events' || response === 'lines'
}

/** The answer of a handler as the response that its route promises. */
export function respond(route: RouteDefinition, answer: unknown, respondent: Respondent): Response {
  if (answer instanceof Response) return answer
  const { status } = route
  switch (route.response) {
    case 'empty':
      return new Response(null, { status })
    case 'text':
      return text(String(answer), 'text/plain; version=0.0.4; charset=utf-8')
    case 'html':
      return text(String(answer), 'text/html; charset=utf-8')
    case 'events':
      return streamResponse((answer as EventAnswer).events, {
        signal: respondent.signal,
        format: respondent.prefersText ? 'text' : 'events',
        tellFailure: respondent.tellFailure,
        onEnd: respondent.onEnd,
      })
    case 'lines':
      return linesResponse((answer as EventAnswer).events, respondent)
    default:
      return Response.json(answer, { status })
  }
}

function text(content: string, contentType: string): Response {
  return new Response(content, { headers: { 'content-type': contentType } })
}

/** What `work` gives, unless `signal` aborts before. */
export async function withinDeadline<Value>(
  work: Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => {
    aborted.reject(new OperationError('http.deadline', 'Cannot answer in time: try again'))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
