/** What a handler gives back; `undefined` as JSON is an empty body. */
export interface Answer {
  status: number
  headers?: Readonly<Record<string, string>>
  body?: { json: unknown } | { text: string; type: string }
}

/** An error in the shape that GitHub's API has. */
export class ApiError extends Error {
  readonly status: number
  readonly details: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
    this.status = status
    this.details = details
    this.headers = headers
  }
}

export function toErrorAnswer(error: ApiError): Answer {
  const { status, message, details, headers } = error
  return { status, headers, body: { json: { message, ...details, status: String(status) } } }
}

export function notFound(): ApiError {
  return new ApiError(404, 'Not Found')
}

export function forbidden(): ApiError {
  return new ApiError(403, 'Resource not accessible by integration')
}

/** 422 with the reasons in `errors`, as GitHub lists them. */
export function invalid(resource: string, error: Readonly<Record<string, string>>): ApiError {
  return new ApiError(422, 'Validation Failed', { errors: [{ resource, ...error }] })
}

export function json(value: unknown, status = 200): Answer {
  return { status, body: { json: value } }
}

export function noContent(status: 202 | 204 = 204): Answer {
  return status === 204 ? { status } : { status, body: { json: {} } }
}

export function redirect(location: string, status = 302): Answer {
  return { status, headers: { location } }
}

export function html(text: string, status = 200): Answer {
  return { status, body: { text, type: 'text/html; charset=utf-8' } }
}
