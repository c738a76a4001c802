import { repositoriesOf } from './access.ts'
import type { Actor } from './access.ts'
import { ApiError } from './answer.ts'
import type { RequestFault } from './faults.ts'
import { now } from './github.ts'
import type { Github } from './github.ts'
import type { Schemas } from './state.ts'

const HOUR_MS = 3_600_000
const ANONYMOUS_PER_HOUR = 60
/** An installation gets more for each repository above this. */
const FREE_REPOSITORIES = 20
const PER_REPOSITORY = 50
const MAX_PER_HOUR = 12_500

interface Window {
  limit: number
  used: number
  resetAt: number
}

function limitOf(github: Github, actor: Actor): number {
  const { requestsPerHour } = github.limits
  if (actor.kind === 'anonymous') return Math.min(ANONYMOUS_PER_HOUR, requestsPerHour)
  if (actor.kind !== 'installation') return requestsPerHour
  const above = Math.max(0, repositoriesOf(github, actor.installation).length - FREE_REPOSITORIES)
  return Math.min(Math.max(MAX_PER_HOUR, requestsPerHour), requestsPerHour + above * PER_REPOSITORY)
}

/** Whose requests count together: all tokens of an installation, all of a person. */
export function toRateKey(actor: Actor): string {
  if (actor.kind === 'anonymous') return 'anonymous'
  if (actor.kind === 'installation') return `installation ${actor.installation.id}`
  return actor.kind === 'user' ? `user ${actor.user.id}` : `app ${actor.app.id}`
}

function findWindow(github: Github, actor: Actor): { used: number; resetAt: number } {
  const key = toRateKey(actor)
  const present = github.state.rateWindows.get(key)
  if (present !== undefined && present.resetAt > now(github)) return present
  const fresh = { used: 0, resetAt: now(github) + HOUR_MS }
  github.state.rateWindows.set(key, fresh)
  return fresh
}

export function readWindow(github: Github, actor: Actor): Window {
  return { ...findWindow(github, actor), limit: limitOf(github, actor) }
}

/** Counts a request; throws when none was left. */
export function countRequest(github: Github, actor: Actor): void {
  const window = findWindow(github, actor)
  if (window.used >= limitOf(github, actor)) throw exceeded(actor)
  window.used += 1
}

/** An answer 304 costs nothing. */
export function giveBack(github: Github, actor: Actor): void {
  findWindow(github, actor).used -= 1
}

function exceeded(actor: Actor): ApiError {
  return new ApiError(403, `API rate limit exceeded for ${toRateKey(actor)}.`)
}

export function toRateHeaders({ limit, used, resetAt }: Window): Record<string, string> {
  return {
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(Math.max(0, limit - used)),
    'x-ratelimit-used': String(used),
    'x-ratelimit-reset': String(Math.ceil(resetAt / 1000)),
    'x-ratelimit-resource': 'core',
  }
}

/** `GET /rate_limit`, which is not counted itself. */
export function toRateLimitJson({ limit, used, resetAt }: Window): Schemas['rate-limit-overview'] {
  const core = {
    limit,
    used,
    remaining: Math.max(0, limit - used),
    reset: Math.ceil(resetAt / 1000),
  }
  return { resources: { core, search: { ...core, limit: 30, used: 0, remaining: 30 } }, rate: core }
}

/** What somebody over a limit is told, whoever asks. */
export function toRateLimitError(
  github: Github,
  actor: Actor,
  fault: Extract<RequestFault, { kind: 'primary-rate-limit' | 'secondary-rate-limit' }>,
): ApiError {
  if (fault.kind === 'secondary-rate-limit') {
    const { status = 403, retryAfterSeconds = 60 } = fault
    const message =
      'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
    return new ApiError(status, message, {}, { 'retry-after': String(retryAfterSeconds) })
  }
  const window = findWindow(github, actor)
  window.used = limitOf(github, actor)
  if (fault.resetInSeconds !== undefined) {
    window.resetAt = now(github) + fault.resetInSeconds * 1000
  }
  return exceeded(actor)
}
