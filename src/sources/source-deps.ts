import type { Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { BuildAccounts } from '../spawner/build-accounts.ts'
import type { Spawner } from '../spawner/spawner.ts'
import type { GitCredential } from './git-command.ts'
import type { Lookup } from './outbound-guard.ts'

export interface SourceDeps {
  spawner: Pick<Spawner, 'run' | 'makeDirectory' | 'remove' | 'usage'>
  buildAccounts: BuildAccounts
  /** Entries `host[:port][@private]`. */
  gitHosts: readonly string[]
  clock: Clock
  newId: NewId
  lookup: Lookup
  /** Left out: only what everybody may read can be read. */
  linked?: LinkedRepositories
  limits?: Partial<SourceLimits>
}

export interface SourceLimits {
  /** For one look at a branch. */
  lookTimeoutMs: number
  /** For one fetch, from connecting to the last object. */
  fetchTimeoutMs: number
  /** For one call that stays on this machine. */
  localTimeoutMs: number
  /** Disk use of one mirror. */
  mirrorBytes: number
  /** Memory of one process of git: a host may send refs without end, which git collects before it looks at them. */
  gitMemoryBytes: number
  /** Between two looks at the disk use while a fetch runs. */
  usageIntervalMs: number
  /** Waits before the second and third attempt after a failure that may pass. */
  retryAfterMs: readonly number[]
}

const DEFAULT_LIMITS: SourceLimits = {
  lookTimeoutMs: 30_000,
  fetchTimeoutMs: 600_000,
  localTimeoutMs: 60_000,
  mirrorBytes: 4 * 1024 ** 3,
  gitMemoryBytes: 1024 ** 3,
  usageIntervalMs: 1000,
  retryAfterMs: [500, 2000],
}

export function limitsOf(deps: Pick<SourceDeps, 'limits'>): SourceLimits {
  return { ...DEFAULT_LIMITS, ...deps.limits }
}

/** A repository within one organization: mirrors are never shared between organizations. */
export interface Source {
  organizationId: string
  repoUrl: string
  /** The project whose credential may be used; without it none is. */
  projectId?: string
  /** The host's own id of it, where that is known: a name may be another repository's tomorrow. */
  repositoryId?: number | null
}

/** Where a repository is at this moment, and who we are there. */
export interface SourceAccess {
  repoUrl: string
  credential: GitCredential
}

/** Repositories that are known to an integration, which says where they are and what they are read with. */
export interface LinkedRepositories {
  /**
   * Asked just before each connection, so that a credential may be short-lived; null when the project's repository needs
   * none. Throws when there must be one and it cannot be had.
   */
  forProject(source: Source, signal: AbortSignal): Promise<SourceAccess | null>
  /** The head of a branch by the host's own API; `ask_git` where that does not know, or should be spared. */
  readHead(
    source: Source,
    branch: string,
    signal: AbortSignal,
  ): Promise<{ kind: 'found'; sha: string } | { kind: 'branch_gone' } | { kind: 'ask_git' }>
}
