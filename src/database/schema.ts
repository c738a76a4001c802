/**
 * The tables as the code sees them. Ids of ours are UUIDv7 text; times are `…T…Z` text with milliseconds; booleans
 * and JSON columns are converted by the handle (`database/open-database.ts`) alone, so the types here hold on both
 * engines. Every tenant table has `organization_id`.
 */
export interface Schema {
  organizations: OrganizationTable
  encryption_keys: EncryptionKeyTable
  projects: ProjectTable
  environment_variables: EnvironmentVariableTable
  domains: DomainTable
  branch_decisions: BranchDecisionTable
  deployments: DeploymentTable
  deployment_transitions: DeploymentTransitionTable
  deployment_logs: DeploymentLogTable
  releases: ReleaseTable
  instances: InstanceTable
  jobs: JobTable
  api_tokens: ApiTokenTable
  users: UserTable
  sessions: SessionTable
  accounts: AccountTable
  verifications: VerificationTable
  two_factors: TwoFactorTable
  used_totp_codes: UsedTotpCodeTable
  sign_in_throttles: SignInThrottleTable
  instance_secrets: InstanceSecretTable
  oauth_states: OauthStateTable
  organization_metadata: OrganizationMetadataTable
  organization_members: OrganizationMemberTable
  project_members: ProjectMemberTable
  invitations: InvitationTable
  clerk_messages: ClerkMessageTable
  clerk_records: ClerkRecordTable
  audit_events: AuditEventTable
  audit_chain: AuditChainTable
}

interface OrganizationTable {
  id: string
  slug: string
  name: string
  /** Of Clerk's organization, when Clerk feeds this one. */
  clerk_org_id: string | null
  created_by_user_id: string | null
  /** When the first person of the instance was made; on `default` alone, once. */
  setup_completed_at: string | null
  /** Nobody has access any more; what it runs goes on. */
  closed_at: string | null
  created_at: string
  updated_at: string
}

/** A key of the keyring as the database knows it: its canary tells at boot whether the key given is that key. */
interface EncryptionKeyTable {
  id: string
  canary_sealed: string
  created_at: string
  retired_at: string | null
}

export type RuntimeKind = 'process' | 'docker' | 'swarm'
export type SourceProvider = 'manual' | 'github' | 'connection'

interface ProjectTable {
  id: string
  organization_id: string
  /** Unique in the organization. */
  name: string
  /** The first label of the app's host name; unique in the instance, the name itself unless that was taken. */
  host_label: string
  source_provider: SourceProvider
  repo_url: string
  source_repo_id: number | null
  branch: string
  runtime: RuntimeKind
  /** Settings that a person made; null leaves the choice to `nanoscale.json` or to detection. */
  root_directory: string | null
  install_command: string | null
  build_command: string | null
  start_command: string | null
  release_command: string | null
  output_directory: string | null
  health_path: string | null
  watch_paths: string[] | null
  auto_deploy: boolean
  poll_interval_seconds: number
  /** The last head about which a decision was recorded. */
  considered_head: string | null
  /** A head that was considered before and was read again: it counts after a second reading ≥ 10 s later. */
  reread_head: string | null
  reread_at: string | null
  /** Why the last look at the branch failed, until one succeeds. */
  source_error: string | null
  /** Since when every look has failed: the longer, the rarer they get. */
  source_failing_since: string | null
  next_poll_at: string
  reconcile_token: string | null
  reconcile_expires_at: string | null
  /** The switch: one compare-and-set. The route table is derived from it and the domains. */
  live_deployment_id: string | null
  /** Number of the newest deployment. */
  deployment_count: number
  /** The uid of its processes is derived from this; unique in the instance, never used again. */
  account_slot: number
  deleted_at: string | null
  created_at: string
  updated_at: string
}

export type VariableScope = 'build' | 'run' | 'both'

interface EnvironmentVariableTable {
  id: string
  organization_id: string
  project_id: string
  name: string
  value_sealed: string
  scope: VariableScope
  created_at: string
  updated_at: string
}

interface DomainTable {
  id: string
  organization_id: string
  project_id: string
  /** Lower case, punycode, without a trailing dot; unique in the instance. */
  hostname: string
  created_at: string
}

export type DecisionTrigger = 'push' | 'boot' | 'timer' | 'person'
export type DecisionKind = 'deploy' | 'skip'

/** What `reconcileBranch` decided about a head, and why: the explanation of every deployment and non-deployment. */
interface BranchDecisionTable {
  id: string
  organization_id: string
  project_id: string
  head: string
  previous_head: string | null
  decision: DecisionKind
  /** A code such as `new_head`, `auto_deploy_off`, `skip_marker`, `watch_paths`. */
  reason: string
  trigger: DecisionTrigger
  deployment_id: string | null
  created_at: string
}

export type DeploymentCause = 'push' | 'redeploy' | 'rollback' | 'configuration' | 'retry' | 'first'

/** The moves between them are in `deployments/deployment-state.ts`. */
export type DeploymentState =
  | 'queued'
  | 'fetching'
  | 'building'
  | 'releasing'
  | 'starting'
  | 'checking'
  | 'switching'
  | 'cancelling'
  | 'live'
  | 'failed'
  | 'superseded'
  | 'cancelled'
  | 'interrupted'

interface DeploymentTable {
  id: string
  organization_id: string
  project_id: string
  /** Counts from 1 in the project: `#3`. */
  number: number
  state: DeploymentState
  cause: DeploymentCause
  branch: string
  commit_sha: string
  commit_message: string | null
  commit_author: string | null
  committed_at: string | null
  /** Redeploy and rollback name the deployment that they repeat. */
  repeats_deployment_id: string | null
  /** Build even though a release with this fingerprint exists. */
  rebuild: boolean
  release_id: string | null
  /** The settings and variables as they were when it was built or started, so that a rollback restores them. */
  configuration_sealed: string | null
  /** How often this head was attempted after we ended an attempt (`interrupted`); the first is 1. */
  attempt: number
  /** When a queued one may start, and since when it is waiting for the pushes to calm down. */
  not_before: string
  debounce_since: string
  superseded_by_id: string | null
  /** What was live when it took the traffic: it gets the traffic back when this one crashes early. */
  replaced_deployment_id: string | null
  cancel_requested_at: string | null
  cancel_reason: 'person' | 'superseded' | 'deleted' | null
  /** Active ones in a row that a newer head cancelled before this one: the third runs to its end. */
  cancelled_in_a_row: number
  release_command_started_at: string | null
  release_command_finished_at: string | null
  failure_code: string | null
  failure_message: string | null
  lease_token: string | null
  lease_expires_at: string | null
  host_id: string | null
  created_at: string
  started_at: string | null
  /** When it reached one of the ends. */
  ended_at: string | null
}

interface DeploymentTransitionTable {
  id: string
  organization_id: string
  deployment_id: string
  state: DeploymentState
  entered_at: string
}

interface DeploymentLogTable {
  deployment_id: string
  /** Counts from 1 in the deployment; the Last-Event-ID of its stream. */
  sequence: number
  organization_id: string
  stream: 'platform' | 'output'
  text: string
  logged_at: string
}

interface ReleaseTable {
  id: string
  organization_id: string
  project_id: string
  /** Hash of all that decides what a build makes: tree, plan, build variables (keyed), toolchain. */
  fingerprint: string
  commit_sha: string
  tree_id: string
  /** The build plan, as `builds/build-plan.ts` has it. */
  plan: unknown
  state: 'building' | 'ready' | 'removed'
  size_bytes: number | null
  host_id: string
  created_at: string
  ready_at: string | null
}

export type InstanceState =
  | 'starting'
  | 'running'
  | 'draining'
  | 'stopped'
  | 'crashed'
  | 'crash_loop'

interface InstanceTable {
  id: string
  organization_id: string
  project_id: string
  deployment_id: string
  release_id: string
  host_id: string
  state: InstanceState
  port: number | null
  pid: number | null
  start_ticks: string | null
  boot_id: string | null
  /** Starts after a crash, in a row. */
  restarts: number
  next_restart_at: string | null
  /** When a draining one is stopped; until then it stands by for a successor that crashes. */
  retire_at: string | null
  exit_code: number | null
  exit_signal: string | null
  created_at: string
  ready_at: string | null
  stopped_at: string | null
}

/** A recurring sweep; whoever holds the lease runs it. */
interface JobTable {
  name: string
  next_run_at: string
  lease_token: string | null
  lease_expires_at: string | null
  last_started_at: string | null
  last_finished_at: string | null
  last_error: string | null
}

interface ApiTokenTable {
  id: string
  organization_id: string
  name: string
  /** sha256 of the token in hex: tokens are 256 random bits, so a plain hash is enough. */
  token_hash: string
  /** The last four characters, to tell tokens apart. */
  hint: string
  created_at: string
  expires_at: string | null
  last_used_at: string | null
  revoked_at: string | null
  /** Whose token it is: it may never do more than this person now may. Null: the operator's. */
  created_by_user_id: string | null
  /** Of `contract/permissions.ts`; `*` is all that its maker may. */
  scopes: string[]
}

/** People. better-auth's user table too: `created_at` and `updated_at` are `timestamptz` on PostgreSQL. */
interface UserTable {
  id: string
  clerk_user_id: string | null
  /** Lower case. What signs in with a password; of a person that Clerk told of an address that no mail reaches. */
  email: string
  name: string
  first_name: string | null
  last_name: string | null
  email_verified: boolean
  image: string | null
  two_factor_enabled: boolean
  /** What Clerk says. Never used to find an account. */
  clerk_primary_email: string | null
  /** Cannot sign in any more; the row stays for what names it. */
  deleted_at: string | null
  created_at: string
  updated_at: string
}

interface SessionTable {
  id: string
  user_id: string
  /** sha256 of the token in hex. */
  token: string
  expires_at: string
  ip_address: string | null
  user_agent: string | null
  created_at: string
  updated_at: string
}

/** A way in: `credential` with a password's hash, or an identity provider's (issuer, subject). */
interface AccountTable {
  id: string
  user_id: string
  /** `credential`, or the issuer's URL. */
  provider_id: string
  /** The user's id, or the subject at the issuer. */
  account_id: string
  password: string | null
  access_token: string | null
  refresh_token: string | null
  id_token: string | null
  access_token_expires_at: string | null
  refresh_token_expires_at: string | null
  scope: string | null
  created_at: string
  updated_at: string
}

interface VerificationTable {
  id: string
  identifier: string
  value: string
  expires_at: string
  created_at: string
  updated_at: string
}

interface TwoFactorTable {
  id: string
  user_id: string
  secret: string
  backup_codes: string
  verified: boolean
  failed_verification_count: number
  locked_until: string | null
}

interface UsedTotpCodeTable {
  user_id: string
  code_hash: string
  used_at: string
}

interface SignInThrottleTable {
  key_hash: string
  failures: number
  blocked_until: string | null
  updated_at: string
}

/** Random keys of the instance itself, such as the one that signs cookies. `id` is their name. */
interface InstanceSecretTable {
  id: string
  value_sealed: string
  created_at: string
}

/** A trip to another site that has not come back: single use, bound to the browser that began it. */
interface OauthStateTable {
  id: string
  state_hash: string
  purpose: string
  binding_hash: string
  user_id: string | null
  /** JSON with the PKCE verifier, the nonce and where to go afterwards. */
  request_sealed: string
  created_at: string
  expires_at: string
  used_at: string | null
}

interface OrganizationMetadataTable {
  organization_id: string
  company_size: string | null
  team_size: string | null
  use_cases: string[]
  observability_stack: string[]
  completed_at: string | null
  created_at: string
  updated_at: string
}

export type Role = 'owner' | 'admin' | 'member' | 'viewer'
/** `selected`: only the projects that `project_members` names. Counts for members and viewers. */
export type ProjectAccess = 'all' | 'selected'

interface OrganizationMemberTable {
  id: string
  organization_id: string
  user_id: string
  role: Role
  project_access: ProjectAccess
  clerk_membership_id: string | null
  joined_at: string
  updated_at: string
}

interface ProjectMemberTable {
  organization_id: string
  project_id: string
  user_id: string
  created_at: string
}

interface InvitationTable {
  id: string
  organization_id: string
  email: string
  role: Role
  project_access: ProjectAccess
  project_ids: string[]
  token_hash: string
  invited_by_user_id: string | null
  created_at: string
  expires_at: string
  accepted_at: string | null
  accepted_by_user_id: string | null
  revoked_at: string | null
}

/** Messages that were handled: one that comes again changes nothing. */
interface ClerkMessageTable {
  id: string
  event_type: string
  received_at: string
}

/** The newest word of Clerk about one of its things; a deleted one stays as a tombstone. */
interface ClerkRecordTable {
  clerk_id: string
  kind: 'user' | 'organization' | 'membership'
  /** The envelope's timestamp in milliseconds; equal ones are ordered by `message_id`. */
  event_at: number
  message_id: string
  deleted: boolean
  /** Of a membership. */
  clerk_user_id: string | null
  clerk_org_id: string | null
  facts: Record<string, unknown>
  updated_at: string
}

export type ActorKind = 'operator' | 'user' | 'token' | 'provider' | 'system' | 'anonymous'
export type AuditOutcome = 'done' | 'refused' | 'failed'

interface AuditEventTable {
  id: string
  /** Null for what concerns the instance. */
  organization_id: string | null
  occurred_at: string
  actor_kind: ActorKind
  actor_id: string | null
  actor_name: string | null
  address: string | null
  request_id: string | null
  action: string
  outcome: AuditOutcome
  target_kind: string | null
  target_id: string | null
  target_name: string | null
  details: Record<string, unknown>
  /** Its place in the chain; null until the leader sealed it. */
  sequence: number | null
  mac: string | null
}

interface AuditChainTable {
  name: 'head' | 'checkpoint'
  sequence: number
  event_mac: string
  signed_at: string
  signature: string
}
