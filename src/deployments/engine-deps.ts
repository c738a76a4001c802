import type { BuildPlan } from '../builds/build-plan.ts'
import type { Database } from '../database/database.ts'
import type { RuntimeKind, Schema } from '../database/schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Logger } from '../lib/logger.ts'
import type { Runtime } from '../runtimes/runtime.ts'
import type { Keyring } from '../secrets/keyring.ts'
import type { Spawner } from '../spawner/spawner.ts'
import type { RouteTable } from '../traffic/route-table.ts'
import type { DeploymentEvents } from './deployment-events.ts'

/** A repository as its Git host knows it, within one organization. */
export interface Source {
  organizationId: string
  repoUrl: string
  /** For whose sake it is read: what is private may be private to one project. */
  projectId: string
  /** The host's own id of it; null where only its name is known. */
  repositoryId: number | null
}

export function sourceOf(project: {
  id: string
  organization_id: string
  repo_url: string
  source_repo_id: number | null
}): Source {
  return {
    organizationId: project.organization_id,
    repoUrl: project.repo_url,
    projectId: project.id,
    repositoryId: project.source_repo_id,
  }
}

export interface Commit {
  sha: string
  treeId: string
  message: string
  authorName: string
  committedAt: string
}

type Computed = Promise<string[] | 'not_computable'>

/** The `sources` room, bound to its own deps. */
export interface Sources {
  readBranchHead(
    source: Source,
    branch: string,
    signal: AbortSignal,
  ): Promise<{ kind: 'found'; sha: string } | { kind: 'branch_gone' }>
  fetchCommit(source: Source, sha: string, branch: string, signal: AbortSignal): Promise<Commit>
  commitMessagesSince(source: Source, from: string, to: string, signal: AbortSignal): Computed
  changedPathsBetween(source: Source, from: string, to: string, signal: AbortSignal): Computed
}

export interface BuildLog {
  output(text: string): void
  note(line: string): void
}

/** Settings of a project that decide how it is built and run; null leaves the choice to the repository. */
export type ProjectSettings = Pick<
  Schema['projects'],
  | 'root_directory'
  | 'install_command'
  | 'build_command'
  | 'start_command'
  | 'release_command'
  | 'output_directory'
  | 'health_path'
  | 'watch_paths'
>

export type Environment = Readonly<Record<string, string>>

/** The `builds` room, bound to its own deps. */
export interface Builds {
  plan(
    source: Source,
    sha: string,
    settings: ProjectSettings,
    signal: AbortSignal,
  ): Promise<BuildPlan>
  fingerprint(plan: BuildPlan, treeId: string, buildVariables: Environment): string
  /** Checks out, builds and seals `releases/<releaseId>`; leaves nothing else behind, whatever happens. */
  build(
    order: {
      deploymentId: string
      releaseId: string
      source: Source
      sha: string
      plan: BuildPlan
      env: Environment
      accountSlot: number
      log: BuildLog
    },
    signal: AbortSignal,
  ): Promise<{ bytes: number }>
}

export interface EngineConfig {
  dataDirectory: string
  baseDomain: string
  concurrentBuilds: number
  releaseTimeoutSeconds: number
  healthTimeoutSeconds: number
  drainSeconds: number
  stopGraceSeconds: number
  standbySeconds: number
}

/** All that the deployment engine uses; each of its parts asks for the few that it needs. */
export interface EngineDeps {
  clock: Clock
  newId: NewId
  db: Database
  log: Logger
  config: EngineConfig
  hostId: string
  keyring: Pick<Keyring, 'seal' | 'open'>
  redactor: { add(value: string): void; redact(text: string): string }
  sources: Sources
  builds: Builds
  spawner: Pick<Spawner, 'remove' | 'removeLog'>
  runtimes: ReadonlyMap<RuntimeKind, Runtime>
  traffic: {
    publish(table: RouteTable): Promise<void>
    stats(): Promise<{ version: number }>
    drain(target: string, options: { timeoutMs: number }): Promise<void>
  }
  /** Ends everything that runs under build accounts: called at boot, before the first of them is used. */
  endBuilds(): Promise<void>
  /** The route table as the database has it now. */
  deriveRoutes(version: number): Promise<RouteTable>
  events: DeploymentEvents
  /** Called at the entry of each state, so that a test can end the process there. */
  faultPoint?(name: string): void
}
