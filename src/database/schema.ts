import type { AuditChainTable, AuditEventTable } from './audit-tables.ts'
import type {
  BranchDecisionTable,
  DeploymentLogTable,
  DeploymentTable,
  DeploymentTransitionTable,
  InstanceTable,
  ReleaseTable,
} from './deployment-tables.ts'
import type {
  AccountTable,
  ApiTokenTable,
  ClerkMessageTable,
  ClerkRecordTable,
  InstanceSecretTable,
  InvitationTable,
  OauthStateTable,
  OrganizationMemberTable,
  OrganizationMetadataTable,
  ProjectMemberTable,
  SessionTable,
  SignInThrottleTable,
  TwoFactorTable,
  UsedTotpCodeTable,
  UserTable,
  VerificationTable,
} from './identity-tables.ts'
import type {
  GithubInstallationTable,
  GithubInstallationUserTable,
  GithubRepositoryTable,
  GithubRepositoryUserTable,
  GithubUserLinkTable,
  IntegrationCredentialTable,
  IntegrationTable,
  UnclaimedInstallationTable,
} from './integration-tables.ts'
import type {
  BranchHeadTable,
  DeliveryOutcomeTable,
  HookTable,
  ProjectGithubLinkTable,
  WebhookDeliveryTable,
  WebhookRejectionTable,
} from './webhook-tables.ts'

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
  integrations: IntegrationTable
  integration_credentials: IntegrationCredentialTable
  github_user_links: GithubUserLinkTable
  github_installations: GithubInstallationTable
  github_installation_users: GithubInstallationUserTable
  unclaimed_installations: UnclaimedInstallationTable
  github_repositories: GithubRepositoryTable
  github_repository_users: GithubRepositoryUserTable
  hooks: HookTable
  project_github_links: ProjectGithubLinkTable
  branch_heads: BranchHeadTable
  webhook_deliveries: WebhookDeliveryTable
  delivery_outcomes: DeliveryOutcomeTable
  webhook_rejections: WebhookRejectionTable
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

export type { Role, ProjectAccess } from './identity-tables.ts'
export type { ActorKind, AuditOutcome } from './audit-tables.ts'
export type {
  DecisionKind,
  DeploymentCause,
  DeploymentState,
  InstanceState,
} from './deployment-tables.ts'
export type { GithubAccountType } from './integration-tables.ts'
export type { DeliveryState, HookKind, StoredDeliveryFacts } from './webhook-tables.ts'
