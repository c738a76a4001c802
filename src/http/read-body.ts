import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'

import { OperationError } from '../lib/errors.ts'

const MAX_BODY_BYTES = 1_048_576

/** Refuses a body of over 1 MiB, whether it says its length or not. */
export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    const limit = MAX_BODY_BYTES / 1024
    throw new OperationError('http.too_large', `Cannot read the body: it is over ${limit} KiB`)
  },
})

/**
 * Refuses what is not JSON as it stands: a form of another site can send the other types without asking, and what is
 * compressed could be larger than it looks.
 */
export const requireJson: MiddlewareHandler = async (c, next) => {
  const type = c.req.header('content-type')
  const encoding = c.req.header('content-encoding') ?? 'identity'
  const plain = encoding.toLowerCase() === 'identity'
  const json = /^application\/json(?:;|$)/i.test((type ?? '').trim())
  if (plain && (json || (type === undefined && hasNoBody(c)))) return await next()
  throw new OperationError(
    'http.unsupported_media_type',
    'Cannot read the body: send it as "Content-Type: application/json", not compressed',
  )
}

/** Routes whose fields may all be left out are called without a body too. */
function hasNoBody(c: Context): boolean {
  const length = c.req.header('content-length') ?? '0'
  return length === '0' && c.req.header('transfer-encoding') === undefined
}

/** The bytes as they came. */
export async function readRawBody(c: Context): Promise<Uint8Array> {
  return new Uint8Array(await c.req.arrayBuffer())
}
