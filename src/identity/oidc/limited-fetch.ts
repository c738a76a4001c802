import type { CustomFetch, CustomFetchOptions } from 'openid-client'

import { OperationError } from '../../lib/errors.ts'

/** Metadata and key sets are some kilobytes; more is a mistake or an attack. */
const MAX_RESPONSE_BYTES = 1_048_576

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** True where plain http cannot be read by others: on this machine. */
export function isLoopbackUrl(url: URL): boolean {
  return LOOPBACK.has(url.hostname)
}

/**
 * Fetches for `openid-client`: encrypted unless it stays on this machine, without following redirects, and no more
 * than 1 MiB. Throws `oidc.unreachable` when there is no answer before the deadline of `options.signal`.
 */
export const limitedFetch: CustomFetch = async (address, options) => {
  const url = new URL(address)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackUrl(url))) {
    throw new OperationError('oidc.insecure', `Cannot ask "${url.origin}": it is not https`)
  }
  try {
    const response = await fetch(url, requestOf(options))
    const body = await readLimited(response)
    const { status, statusText, headers } = response
    return new Response(body, { status, statusText, headers })
  } catch (error) {
    if (error instanceof OperationError) throw error
    throw unreachable(url, error)
  }
}

function requestOf(options: CustomFetchOptions): RequestInit {
  const { method, headers, signal, body } = options
  return {
    method,
    headers,
    redirect: 'manual',
    ...(signal === undefined ? {} : { signal }),
    ...(body === null || body === undefined ? {} : { body: body as string | URLSearchParams }),
  }
}

/** Null where a response may have no body, for which even an empty one is refused. */
async function readLimited(response: Response): Promise<Uint8Array<ArrayBuffer> | null> {
  if (response.body === null) return null
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.byteLength
    if (size > MAX_RESPONSE_BYTES) {
      const limit = MAX_RESPONSE_BYTES / 1024
      const { origin } = new URL(response.url)
      throw new OperationError(
        'oidc.too_large',
        `Cannot read the answer of "${origin}": it is over ${limit} KiB`,
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function unreachable(url: URL, error: unknown): OperationError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new OperationError('oidc.unreachable', `Cannot reach "${url.origin}": ${reason}`, {
    cause: error,
  })
}
