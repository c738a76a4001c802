import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'

const DAY_MS = 86_400_000

/** Scopes of a new token: those wanted, at most those of the token that makes it. Throws `token.exceeds_maker`. */
export function planScopes(
  wanted: readonly string[] | undefined,
  limit: readonly string[],
): string[] {
  if (wanted === undefined) return [...limit]
  const scopes = wanted.includes('*') ? ['*'] : [...new Set(wanted)]
  const beyond = limit.includes('*') ? undefined : scopes.find((scope) => !limit.includes(scope))
  if (beyond === undefined) return scopes
  throw exceedsMaker('scopes', `the token that asks does not have "${beyond}"`)
}

/** When a new token expires: after `days` (null is never), or with the token that makes it. Throws `token.exceeds_maker`. */
export function planExpiry(
  days: number | null | undefined,
  limit: string | null,
  now: number,
): string | null {
  if (days === undefined) return limit
  const expiresAt = days === null ? null : toIsoTime(now + days * DAY_MS)
  if (limit === null || (expiresAt !== null && expiresAt <= limit)) return expiresAt
  throw exceedsMaker('expires_in_days', 'the token that asks expires earlier')
}

export function exceedsMaker(field: string, why: string): OperationError {
  const message = `Cannot create a token that may more than the one that asks: ${why}`
  return new OperationError('token.exceeds_maker', message, { details: { [field]: [why] } })
}
