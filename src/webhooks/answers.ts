import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'

/**
 * Every answer that a hook's address gives. `docs/webhooks.md` has the same table; a test compares them. Senders decide
 * by the status whether they send again, so it never depends on anything but what stands here.
 */
export const ANSWERS = {
  accepted: {
    status: 202,
    when: 'Verified and stored. Also when the same delivery is stored and still worked on, or failed here and is worked on again',
  },
  duplicate: { status: 200, when: 'Verified; the same delivery was worked on before' },
  malformed: { status: 400, when: 'Verified and noted, but its body is not a JSON object' },
  missing_headers: {
    status: 400,
    when: '`X-GitHub-Event` or `X-GitHub-Delivery` is missing or not one word',
  },
  unverified: {
    status: 401,
    when: 'No secret of the hook signed these bytes, or there is no such hook',
  },
  method_not_allowed: { status: 405, when: 'Not a `POST`' },
  timeout: { status: 408, when: 'The body was not complete within 15 s' },
  too_large: { status: 413, when: 'The body is larger than 25 MiB' },
  encoded: { status: 415, when: '`Content-Encoding` is set: nothing is decompressed' },
  unsupported_media_type: { status: 415, when: 'The body is not `application/json`' },
  throttled: {
    status: 429,
    when: 'Not verified, after 30 failures a minute of this address at this hook',
  },
  busy: { status: 503, when: 'Too many bytes are being received. `Retry-After` says when' },
  unavailable: {
    status: 503,
    when: 'It could not be stored: the database is away or full. `Retry-After` says when',
  },
} as const satisfies Record<string, { status: number; when: string }>

export type AnswerName = keyof typeof ANSWERS

const SENTENCES: Partial<Record<AnswerName, string>> = {
  malformed: 'Cannot read the body: it is not a JSON object',
  missing_headers: 'Cannot take a delivery without X-GitHub-Event and X-GitHub-Delivery',
  unverified: 'Cannot verify the signature: send X-Hub-Signature-256 with the secret of this hook',
  method_not_allowed: 'Cannot take anything but POST here',
  timeout: 'Cannot wait longer for the body',
  too_large: 'Cannot take a body of more than 25 MiB',
  encoded: 'Cannot take a body with a content encoding: send it as it is',
  unsupported_media_type: 'Cannot take this content type: send application/json',
  throttled: 'Cannot verify more for this address now: too many of its signatures were wrong',
  busy: 'Cannot take more deliveries now: too many are being received',
  unavailable: 'Cannot store the delivery now',
}

const RETRY_AFTER_SECONDS: Partial<Record<AnswerName, number>> = {
  throttled: 60,
  busy: 5,
  unavailable: 10,
}

/** After these the rest of a body may still be on its way: the connection is of no more use. */
const CLOSING: ReadonlySet<AnswerName> = new Set(['timeout', 'too_large', 'busy', 'throttled'])

/** Sends the answer, unless its receiver is gone. `unread` says that the request's body was not read to its end. */
export function sendAnswer(
  response: ServerResponse,
  name: AnswerName,
  facts: { deliveryId: string | null; unread: boolean },
): void {
  if (response.headersSent || response.destroyed) return
  const { status } = ANSWERS[name]
  const sentence = SENTENCES[name]
  const body = JSON.stringify(
    sentence === undefined
      ? { status: name, id: facts.deliveryId }
      : { error: sentence, code: `webhook.${name}` },
  )
  const retryAfter = RETRY_AFTER_SECONDS[name]
  const headers: OutgoingHttpHeaders = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
  if (status === 405) headers.allow = 'POST'
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
  if (facts.unread || CLOSING.has(name)) headers.connection = 'close'
  response.writeHead(status, headers)
  response.end(body)
}
