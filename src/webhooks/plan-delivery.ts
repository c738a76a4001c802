import type { HookKind } from '../database/schema.ts'
import type { ClaimedDelivery } from './claim-deliveries.ts'
import { LIFECYCLE_ACTIONS } from './read-payload.ts'

/** Why nothing was done for a delivery, and what that means. `docs/webhooks.md` has the same table. */
export const IGNORE_REASONS = {
  malformed: 'The body is no JSON object',
  unexpected_payload: 'The payload lacks what this event has, or is that of another event',
  id_too_large: 'An id in it is too large to be exact',
  invalid_ref: 'The name of the branch or tag has control characters, is no text, or is too long',
  ping: 'The host tried the hook out',
  unsupported_event: 'Nothing follows from this event or action',
  tag: 'A tag was pushed',
  not_a_branch: 'What was pushed is neither a branch nor a tag',
  deleted: 'The branch was deleted; projects that deploy it look and say so',
  repo_mismatch: 'The repository is not the one that this hook speaks for',
  foreign_app: 'Another App sent it',
  unknown_installation: 'The App is not installed there, as far as we know',
  no_project: 'No project deploys from this repository',
  branch_mismatch: 'Projects deploy from this repository, but not this branch',
  project_inactive: 'The projects of this branch are disconnected from their repository',
} as const

export type IgnoreReason = keyof typeof IGNORE_REASONS

/** What only somebody with a secret, and without business here, sends: these are audited. */
export const SUSPICIOUS: ReadonlySet<string> = new Set<IgnoreReason>([
  'repo_mismatch',
  'foreign_app',
  'unknown_installation',
])

/** Something happened to an App, an installation or a repository: a hint to read it again at the host. */
export interface LifecycleEvent {
  integrationId: string
  event: string
  action: string
  installationId: number | null
  repoId: number | null
  /** Whose doing it was; of `github_app_authorization`: whose grant ended. */
  senderId: number | null
  senderLogin: string | null
}

/** Whom a hook may speak for. */
export interface HookScope {
  kind: HookKind
  organizationId: string | null
  integrationId: string
  /** Of a repository's hook. */
  repositoryId: number | null
  /** Of the App of an App's hook. */
  appId: number | null
}

export interface PushPlan {
  kind: 'push'
  repoId: number
  branch: string
  before: string
  /** Null: the branch was deleted. */
  after: string | null
  /** That must be one of the App's; null when the hook is the repository's own. */
  installationId: number | null
}

export type DeliveryPlan =
  | PushPlan
  | { kind: 'lifecycle'; event: LifecycleEvent }
  | { kind: 'ignored'; reason: IgnoreReason }

type Facts = Pick<
  ClaimedDelivery,
  | 'event_type'
  | 'action'
  | 'installation_id'
  | 'repo_id'
  | 'ref'
  | 'before_commit'
  | 'head_commit'
  | 'facts'
>

const NO_COMMIT = /^0+$/

/** Decides what a delivery asks for, by its facts and by what its hook may speak for. */
export function planDelivery(delivery: Facts, hook: HookScope): DeliveryPlan {
  const { facts, event_type: event, action } = delivery
  if (facts.problem !== null) return ignored(facts.problem)
  if (hook.kind === 'app' && facts.target_id !== null && facts.target_id !== hook.appId) {
    return ignored('foreign_app')
  }
  if (hook.kind === 'repository' && isOfAnother(delivery.repo_id, hook)) {
    return ignored('repo_mismatch')
  }
  if (event === 'ping') return ignored('ping')
  if (event === 'push') return planPush(delivery, hook)
  const known = Object.hasOwn(LIFECYCLE_ACTIONS, event) ? LIFECYCLE_ACTIONS[event] : undefined
  // A repository's own hook says nothing about installations: whoever owns it made it up.
  if (hook.kind !== 'app' || action === null || known?.includes(action) !== true) {
    return ignored('unsupported_event')
  }
  return {
    kind: 'lifecycle',
    event: {
      integrationId: hook.integrationId,
      event,
      action,
      installationId: delivery.installation_id,
      repoId: delivery.repo_id,
      senderId: facts.sender_id,
      senderLogin: facts.sender_login,
    },
  }
}

function isOfAnother(repoId: number | null, hook: HookScope): boolean {
  return repoId !== null && repoId !== hook.repositoryId
}

/** Names of branches are compared byte by byte; case and look-alike letters make another branch. */
function planPush(delivery: Facts, hook: HookScope): DeliveryPlan {
  const { ref, repo_id: repoId, before_commit: before, head_commit: after } = delivery
  if (ref === null || repoId === null || before === null || after === null) {
    return ignored('unexpected_payload')
  }
  if (ref.startsWith('refs/tags/')) return ignored('tag')
  if (!ref.startsWith('refs/heads/')) return ignored('not_a_branch')
  if (hook.kind === 'app' && delivery.installation_id === null) {
    return ignored('unknown_installation')
  }
  return {
    kind: 'push',
    repoId,
    branch: ref.slice('refs/heads/'.length),
    before,
    after: NO_COMMIT.test(after) ? null : after,
    installationId: hook.kind === 'app' ? delivery.installation_id : null,
  }
}

function ignored(reason: IgnoreReason): DeliveryPlan {
  return { kind: 'ignored', reason }
}
