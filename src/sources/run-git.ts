import { isOperationError, OperationError } from '../lib/errors.ts'
import type { CommandResult } from '../lib/run-command.ts'
import type { BuildAccount, Place } from '../spawner/spawner.ts'
import { gitCommand } from './git-command.ts'
import type { GitCall, GitRemote } from './git-command.ts'
import { gitFailure, sourceError } from './git-failure.ts'
import { resolveOutbound } from './outbound-guard.ts'
import { parseRepositoryUrl } from './repository-url.ts'
import type { RepositoryUrl } from './repository-url.ts'
import { limitsOf } from './source-deps.ts'
import type { Source, SourceDeps } from './source-deps.ts'

/** Where and as whom a call of git runs. */
export interface GitSite {
  account: BuildAccount
  place: Place
  /** The mirror that it may enter besides its place. */
  mirror?: string
}

interface GitRun extends GitCall {
  stdin?: string
  timeoutMs?: number
  maxOutputBytes?: number
}

/** Runs git under a build account. A non-zero exit is a result; being killed is `source.git_killed`. */
export async function runGit(
  deps: Pick<SourceDeps, 'spawner' | 'newId' | 'limits'>,
  site: GitSite,
  run: GitRun,
  signal: AbortSignal,
): Promise<CommandResult> {
  const limits = limitsOf(deps)
  const result = await deps.spawner.run(
    {
      unit: `git-${deps.newId()}`,
      account: site.account,
      ...(site.mirror === undefined ? {} : { mirror: site.mirror }),
      ...gitCommand(run),
      directory: site.place,
      limits: {
        maxProcesses: 4096,
        maxOpenFiles: 1024,
        maxFileBytes: limits.mirrorBytes,
        maxDataBytes: limits.gitMemoryBytes,
      },
      ...(run.stdin === undefined ? {} : { stdin: run.stdin }),
      timeoutMs: run.timeoutMs ?? limits.localTimeoutMs,
      ...(run.maxOutputBytes === undefined ? {} : { maxOutputBytes: run.maxOutputBytes }),
    },
    signal,
  )
  // The machine's trouble and not the repository's, so what needed it is tried again.
  if (result.exitSignal === 'SIGKILL') {
    throw new OperationError(
      'source.git_killed',
      'Cannot finish git: it was killed, most likely because the machine ran out of memory',
    )
  }
  return result
}

/** Runs a git call that contacts the host, and throws a typed error unless it succeeds. */
export async function runRemoteGit(
  deps: Pick<SourceDeps, 'spawner' | 'newId' | 'limits'>,
  site: GitSite,
  run: GitRun & { remote: GitRemote; timeoutMs: number },
  signal: AbortSignal,
): Promise<string> {
  const { repository } = run.remote
  let result: CommandResult
  try {
    result = await runGit(deps, site, run, signal)
  } catch (error) {
    if (!isTimeout(error)) throw error
    const reason = `the host did not answer within ${run.timeoutMs / 1000} s`
    throw sourceError('source.unreachable', repository, reason, error)
  }
  if (result.exitSignal === 'SIGXFSZ') {
    // The kernel's answer to a file above the limit: git cannot say a word.
    throw sourceError('source.refused', repository, 'it is larger than a mirror may be')
  }
  if (result.exitCode !== 0) throw gitFailure(repository, result.stderr)
  return result.stdout
}

/** Repeats what failed because the host could not be reached, with a growing wait between. */
export async function withRetries<Result>(
  deps: Pick<SourceDeps, 'clock' | 'limits'>,
  attempt: () => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  for (const wait of limitsOf(deps).retryAfterMs) {
    try {
      return await attempt()
    } catch (error) {
      if (!isOperationError(error, 'source.unreachable')) throw error
    }
    await deps.clock.sleep(wait, signal)
  }
  return await attempt()
}

/** Asks where the repository is and with which credential, resolves its host once and pins what the guard allowed. */
export async function openRemote(
  deps: Pick<SourceDeps, 'gitHosts' | 'lookup' | 'linked'>,
  source: Source,
  signal: AbortSignal,
): Promise<GitRemote> {
  const access = (await deps.linked?.forProject(source, signal)) ?? null
  const { repoUrl, credential } = access ?? { repoUrl: source.repoUrl, credential: null }
  const repository: RepositoryUrl = parseRepositoryUrl(repoUrl, deps.gitHosts)
  const addresses = await resolveOutbound(deps, repository)
  if (credential !== null && credential.origin !== new URL(repository.url).origin) {
    const reason = `its credential is for ${credential.origin} alone`
    throw sourceError('source.refused', repository, reason)
  }
  return { repository, addresses, credential }
}

export function isTimeout(error: unknown): boolean {
  return isOperationError(error) && error.code.endsWith('.timed_out')
}
