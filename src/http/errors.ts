import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

import { isOperationError } from '../lib/errors.ts'

/** Statuses of error codes. What is not here and matches no rule below is 500 with nothing inside. */
const STATUS_OF_CODE: Readonly<Record<string, ContentfulStatusCode>> = {
  'http.unauthorized': 401,
  'http.forbidden': 403,
  'http.malformed': 400,
  'http.too_large': 413,
  'http.stopping': 503,
  'http.deadline': 503,
  'domain.too_many': 409,
  'source.unreachable': 502,
  'source.timed_out': 504,
  'keyring.exhausted': 409,
}

/** Statuses by what the reason of a code begins or ends with, so that rooms share a vocabulary. */
const STATUS_OF_REASON: readonly (readonly [RegExp, ContentfulStatusCode])[] = [
  [/(^|_)not_found$/, 404],
  [/(^|_)(invalid|refused|unsafe|not_allowed|forbidden_host|unsupported)(_|$)/, 422],
  [/(^|_)(taken|busy|ended|in_use|not_cancellable|not_possible|conflict)$/, 409],
  [/^(nothing|not|no|already|still|never)_/, 409],
]

export interface ErrorAnswer {
  status: ContentfulStatusCode
  body: {
    error: string
    code: string
    details?: Readonly<Record<string, readonly string[]>>
    request_id?: string
  }
  /** Nobody expected it: it must be logged, since the answer says nothing. */
  unexpected: boolean
}

/** The one place that turns a failure into an answer. */
export function answerOf(error: unknown, requestId: string): ErrorAnswer {
  if (isOperationError(error)) {
    const status = statusOf(error.code)
    if (status !== null) {
      const details = error.details === undefined ? {} : { details: error.details }
      const body = { error: error.message, code: error.code, ...details }
      return { status, body, unexpected: false }
    }
  }
  if (error instanceof HTTPException && error.status === 400) {
    const body = { error: 'Cannot read the body: it is not JSON', code: 'http.malformed' }
    return { status: 400, body, unexpected: false }
  }
  const body = {
    error: 'Something failed here. The log of NanoScale has more, under this request id',
    code: 'http.internal',
    request_id: requestId,
  }
  return { status: 500, body, unexpected: true }
}

function statusOf(code: string): ContentfulStatusCode | null {
  const exact = STATUS_OF_CODE[code]
  if (exact !== undefined) return exact
  const reason = code.slice(code.indexOf('.') + 1)
  return STATUS_OF_REASON.find(([pattern]) => pattern.test(reason))?.[1] ?? null
}

interface Issue {
  code?: string | undefined
  path: readonly PropertyKey[]
  message: string
  keys?: readonly string[]
}

/** What validation found, by field. Values are never repeated: they may be secret. */
export function detailsOf(issues: readonly Issue[]): Record<string, string[]> {
  const details: Record<string, string[]> = {}
  const add = (field: string, message: string) => {
    details[field] = [...(details[field] ?? []), message]
  }
  for (const issue of issues) {
    const path = issue.path.map(String).join('.')
    if (issue.code === 'unrecognized_keys' && issue.keys !== undefined) {
      for (const key of issue.keys) add([path, key].filter(Boolean).join('.'), 'unknown field')
    } else {
      add(path === '' ? 'body' : path, issue.message)
    }
  }
  return details
}
