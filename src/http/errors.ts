import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

import { isOperationError } from '../lib/errors.ts'

/**
 * Every code that a request may meet, with its status. What is not here is 500 with nothing inside: its message was
 * written for a log or for the command line, and may name paths and processes of this machine.
 */
export const STATUS_OF_CODE: ReadonlyMap<string, ContentfulStatusCode> = new Map([
  ['http.malformed', 400],
  ['http.unauthorized', 401],
  ['http.forbidden', 403],
  ['http.foreign_origin', 403],
  ['http.too_large', 413],
  ['http.unsupported_media_type', 415],
  ['http.invalid', 422],
  ['http.rate_limited', 429],
  ['http.too_many_streams', 429],
  ['http.deadline', 503],
  ['organization.none', 403],
  ['oidc.not_configured', 404],
  ['oidc.unavailable', 503],
  ['clerk.malformed', 400],
  ['clerk.invalid_signature', 401],
  ['clerk.not_configured', 404],
  ['clerk.busy', 503],
  ['clerk.keys_unavailable', 503],
  ['identity.not_found', 404],
  ['identity.last_way_in', 409],
  ['auth.invalid_credentials', 401],
  ['auth.invalid_code', 401],
  ['auth.code_used', 401],
  ['auth.challenge_expired', 401],
  // Who asks is known: what they typed to confirm it is wrong.
  ['auth.invalid_password', 422],
  ['auth.invalid_link', 422],
  ['auth.no_password', 409],
  ['auth.no_second_factor', 409],
  ['auth.second_factor_exists', 409],
  ['auth.sign_in_too_old', 403],
  ['auth.throttled', 429],
  ['auth.busy', 503],
  ['session.not_found', 404],
  ['setup.wrong_token', 403],
  ['setup.done', 409],
  ['person.email_invalid', 422],
  ['person.email_taken', 409],
  ['project.not_found', 404],
  ['project.name_taken', 409],
  ['project.invalid_name', 422],
  ['project.invalid_settings', 422],
  ['project.source_fixed', 422],
  ['environment.not_found', 404],
  ['environment.invalid', 422],
  ['domain.not_found', 404],
  ['domain.taken', 409],
  ['domain.too_many', 409],
  ['domain.invalid', 422],
  ['token.not_found', 404],
  ['token.too_many', 409],
  ['token.exceeds_maker', 422],
  ['organization.not_found', 404],
  ['organization.slug_taken', 409],
  ['organization.too_many', 409],
  ['organization.has_projects', 409],
  ['organization.not_closable', 409],
  ['organization.unisolated', 409],
  ['member.not_found', 404],
  ['member.from_clerk', 409],
  ['member.last_owner', 409],
  ['member.belongs_elsewhere', 409],
  ['member.role_lost', 403],
  ['member.too_many', 409],
  ['member.unknown_project', 422],
  ['invitation.not_found', 404],
  ['invitation.other_person', 403],
  ['invitation.already_member', 409],
  ['invitation.too_many', 409],
  ['invitation.too_often', 409],
  ['invitation.incomplete', 422],
  ['invitation.unreachable_address', 422],
  ['mail.not_configured', 409],
  ['mail.failed', 502],
  ['integration.not_found', 404],
  ['integration.none', 404],
  ['integration.not_usable', 409],
  ['integration.in_use', 409],
  ['integration.not_changeable', 409],
  ['integration.key_refused', 422],
  ['integration.site_not_allowed', 422],
  // GitHub itself: what it says, and what is wrong on the way to it.
  ['github.unreachable', 502],
  ['github.invalid_answer', 502],
  ['github.wider_token', 502],
  ['github.rate_limited', 429],
  ['github.refused', 409],
  ['github.app_refused', 409],
  ['github.unusable_key', 409],
  ['github.gone', 409],
  ['github.permission_missing', 409],
  ['github.too_many_hooks', 409],
  ['github.not_found', 404],
  ['github.invalid_order', 422],
  ['github.not_connected', 409],
  ['github.reconnect_needed', 409],
  ['github.needs_session', 409],
  ['github.state_invalid', 403],
  ['github.installation_not_found', 404],
  ['github.installation_not_yours', 403],
  ['github.claim_not_allowed', 403],
  ['github.already_claimed', 409],
  ['github.busy', 503],
  ['github.repository_not_found', 404],
  ['github.push_right_needed', 403],
  ['github.repository_archived', 422],
  ['delivery.not_found', 404],
  // A thread could not be started or ended: another attempt gets a new one.
  ['webhook.unreadable', 503],
  ['deployment.not_found', 404],
  ['deployment.not_cancellable', 409],
  ['deployment.nothing_to_deploy', 409],
  ['deployment.nothing_to_roll_back_to', 409],
  ['deployment.never_live', 409],
  ['source.invalid_url', 422],
  ['source.invalid_branch', 422],
  ['source.invalid_path', 422],
  ['source.host_not_allowed', 422],
  ['audit.invalid_anchor', 422],
  ['keyring.not_found', 404],
  ['keyring.busy', 409],
  ['keyring.in_use', 409],
  ['keyring.not_changeable', 409],
  ['keyring.not_all_resealed', 409],
  // Of sealing: only the operator can help, by the sentence that the error brings.
  ['keyring.exhausted', 409],
  // The operator restarts or upgrades; the same request will be answered in a moment.
  ['spawner.unavailable', 503],
  ['traffic.unreachable', 503],
])

export interface ErrorAnswer {
  status: ContentfulStatusCode
  body: {
    error: string
    code: string
    details?: Readonly<Record<string, readonly string[]>>
    request_id?: string
  }
  /** Seconds, for the header of that name. */
  retryAfter?: number
  /** Nobody expected it: it must be logged, since the answer says nothing. */
  unexpected: boolean
}

/** The one place that turns a failure into an answer. */
export function answerOf(error: unknown, requestId: string): ErrorAnswer {
  if (isOperationError(error)) {
    const status = STATUS_OF_CODE.get(error.code)
    if (status !== undefined) {
      const details = error.details === undefined ? {} : { details: error.details }
      const body = { error: error.message, code: error.code, ...details }
      const answer = { status, body, unexpected: false }
      if (error.retryAfterSeconds === undefined) return answer
      return { ...answer, retryAfter: Math.max(1, Math.ceil(error.retryAfterSeconds)) }
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

interface Issue {
  code?: string | undefined
  path: readonly PropertyKey[]
  message: string
  keys?: readonly string[]
}

/** What validation found, by field. Values are never repeated: they may be secret. */
export function detailsOf(issues: readonly Issue[]): Record<string, string[]> {
  // Fields are named by who asks: "constructor" must be as good as any.
  const details = new Map<string, string[]>()
  const add = (field: string, message: string) => {
    details.set(field, [...(details.get(field) ?? []), message])
  }
  for (const issue of issues) {
    const path = issue.path.map(String).join('.')
    if (issue.code === 'unrecognized_keys' && issue.keys !== undefined) {
      for (const key of issue.keys) add([path, key].filter(Boolean).join('.'), 'unknown field')
    } else {
      add(path === '' ? 'body' : path, issue.message)
    }
  }
  return Object.fromEntries(details)
}
