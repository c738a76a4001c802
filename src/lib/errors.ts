type Details = Readonly<Record<string, readonly string[]>>

/**
 * A failure that a person can act on. `code` is `room.reason` and is public API: the HTTP status is derived from it in
 * one place (`http/errors.ts`). `details` maps a field to what is wrong with it; `retryAfterSeconds` is when the same may
 * work.
 */
export class OperationError extends Error {
  override readonly name = 'OperationError'
  readonly code: string
  readonly details: Details | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: string,
    message: string,
    options: { cause?: unknown; details?: Details; retryAfterSeconds?: number } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.details = options.details
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

export function isOperationError(error: unknown, code?: string): error is OperationError {
  return error instanceof OperationError && (code === undefined || error.code === code)
}

/** The message of anything that was thrown, for a log line or an error's sentence. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a Node system error such as `ENOENT`, when it has one. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
