import type { RouteDefinition } from '../contract/route.ts'
import { OperationError } from '../lib/errors.ts'

/**
 * Whether a request changes something for a browser that may have been led to send it: browsers add cookies by
 * themselves, and keep the ones they are given. Programs that send an `Authorization` header are not led, and raw
 * bodies prove who sent them by a signature.
 */
export function needsOrigin(request: {
  route: Pick<RouteDefinition, 'method' | 'body'>
  channel: 'operator' | 'network'
  isPublic: boolean
  byCookie: boolean
  hasAuthorization: boolean
}): boolean {
  const { route, channel, isPublic, byCookie, hasAuthorization } = request
  if (route.method === 'GET' || channel === 'operator' || hasAuthorization) return false
  return byCookie || (isPublic && route.body !== 'raw')
}

/**
 * Refuses what pages of other sites sent. The public address of the configuration decides, never a `Host` header.
 * Throws `http.foreign_origin`.
 */
export function checkOrigin(headers: Headers, publicBaseUrl: string): void {
  const own = new URL(publicBaseUrl).origin
  const origin = headers.get('origin')
  const isOwn = origin === null ? headers.get('sec-fetch-site') === 'same-origin' : origin === own
  if (isOwn) return
  throw new OperationError(
    'http.foreign_origin',
    `Cannot accept this from another site: it must come from a page of ${own}, or say so in its Origin header`,
  )
}
