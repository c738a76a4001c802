export type DecisionTrigger = 'push' | 'boot' | 'timer' | 'person'
export type DecisionKind = 'deploy' | 'skip'

/** What `reconcileBranch` decided about a head, and why: the explanation of every deployment and non-deployment. */
export interface BranchDecisionTable {
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

export interface DeploymentTable {
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

export interface DeploymentTransitionTable {
  id: string
  organization_id: string
  deployment_id: string
  state: DeploymentState
  entered_at: string
}

export interface DeploymentLogTable {
  deployment_id: string
  /** Counts from 1 in the deployment; the Last-Event-ID of its stream. */
  sequence: number
  organization_id: string
  stream: 'platform' | 'output'
  text: string
  logged_at: string
}

export interface ReleaseTable {
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

export interface InstanceTable {
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
