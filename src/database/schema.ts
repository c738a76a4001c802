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
}

interface OrganizationTable {
  id: string
  slug: string
  name: string
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
}
