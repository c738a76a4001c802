/** Rows of hooks that may call us, and of what they delivered. */

export type HookKind = 'app' | 'repository' | 'connection'
export type HookState = 'pending' | 'active' | 'failed' | 'removing' | 'removed'

export interface HookTable {
  id: string
  /** Null: the hook of the App from the environment. */
  organization_id: string | null
  /** At least 128 random bits; in the hook's URL. */
  public_id: string
  kind: HookKind
  integration_id: string | null
  repository_id: number | null
  host_hook_id: string | null
  secret_sealed: string
  /** Accepted beside the new one until `previous_secret_until`: redeliveries may be signed with it. */
  previous_secret_sealed: string | null
  previous_secret_until: string | null
  state: HookState
  error_message: string | null
  last_delivery_at: string | null
  swept_at: string | null
  created_at: string
  updated_at: string
}

/** Where a project's source is at GitHub, by ids that never change. */
export interface ProjectGithubLinkTable {
  id: string
  organization_id: string
  project_id: string
  integration_id: string
  installation_id: number
  repo_id: number
  repo_node_id: string
  owner_login: string
  repo_name: string
  full_name: string
  default_branch: string
  selected_branch: string
  webhook_id: number | null
  hook_id: string | null
  linked_by_user_id: string | null
  active: boolean
  inactive_reason: string | null
  created_at: string
  updated_at: string
}

/** The head that GitHub showed last, with its ETag: asking again costs nothing while it is the same. */
export interface BranchHeadTable {
  integration_id: string
  repo_id: number
  branch: string
  head: string
  etag: string | null
  read_at: string
}

export type DeliveryState = 'received' | 'processed' | 'ignored' | 'failed'

/** What else is known of a delivery. */
export interface StoredDeliveryFacts {
  /** The App that sent it, as a header says that is not signed. */
  target_id: number | null
  /** Which secret of the hook signed it. */
  signed_with: 'current' | 'previous'
  /** An earlier delivery had the same id and another body. */
  guid_conflict: boolean
  sender_id: number | null
  sender_login: string | null
  /** Why nothing can be made of its payload. */
  problem: 'malformed' | 'unexpected_payload' | 'id_too_large' | 'invalid_ref' | null
}

/** The inbox of every provider. A delivery is here before its sender gets an answer. */
export interface WebhookDeliveryTable {
  id: string
  organization_id: string | null
  hook_id: string
  provider: string
  delivery_id: string
  event_type: string
  action: string | null
  installation_id: number | null
  repo_id: number | null
  ref: string | null
  before_commit: string | null
  head_commit: string | null
  facts: StoredDeliveryFacts
  body_hash: string
  body_bytes: number
  body_sealed: string | null
  state: DeliveryState
  reason: string | null
  handled: boolean
  status_code: number | null
  error_message: string | null
  attempts: number
  next_attempt_at: string | null
  lease_token: string | null
  lease_expires_at: string | null
  created_at: string
  processed_at: string | null
}

/** What a delivery meant for one project. */
export interface DeliveryOutcomeTable {
  id: string
  organization_id: string
  webhook_delivery_id: string
  project_id: string
  outcome: string
  reason: string | null
  head: string | null
  deployment_id: string | null
  created_at: string
}

export interface WebhookRejectionTable {
  hook_key: string
  minute: string
  amount: number
}
