import { requireBranchName } from './branch-name.ts'
import { requireObjectId } from './git-command.ts'
import { sourceError } from './git-failure.ts'
import { fetchInto, withMirror } from './mirror.ts'
import type { Mirror } from './mirror.ts'
import { parseRepositoryUrl } from './repository-url.ts'
import { runGit } from './run-git.ts'
import type { Source, SourceDeps } from './source-deps.ts'

export interface FetchedCommit {
  sha: string
  treeId: string
  message: string
  authorName: string
  committedAt: string
}

/** How far back on its branch a commit is looked for when it is no longer the head. */
const SEARCH_DEPTH = 50
const MAX_MESSAGE = 10_000

/**
 * Brings one commit into the mirror, from the branch as the host shows it now: the head itself, or one of the last
 * commits before it. A commit that the branch does not contain is refused, though the host may still have it (of a fork,
 * or of before a force-push). Throws `source.not_found`, `source.unreachable` and `source.refused`.
 */
export async function fetchCommit(
  deps: SourceDeps,
  source: Source,
  sha: string,
  branch: string,
  signal: AbortSignal,
): Promise<FetchedCommit> {
  requireObjectId(sha)
  const ref = `refs/heads/${requireBranchName(branch)}`
  return await withMirror(
    deps,
    source,
    async (mirror) => {
      await fetchHead(deps, mirror, { source, ref, depth: 1 }, signal)
      if ((await resolveSeen(deps, mirror, signal)) !== sha) {
        await fetchHead(deps, mirror, { source, ref, depth: SEARCH_DEPTH }, signal)
        await requireAncestor(deps, mirror, source, sha, signal)
      }
      await keep(deps, mirror, sha, signal)
      return await readCommit(deps, mirror, sha, signal)
    },
    signal,
  )
}

const SEEN = 'refs/nanoscale/seen'

async function fetchHead(
  deps: SourceDeps,
  mirror: Mirror,
  order: { source: Source; ref: string; depth: number },
  signal: AbortSignal,
): Promise<void> {
  const refspec = `+${order.ref}:${SEEN}`
  const flags = [`--depth=${order.depth}`]
  await fetchInto(deps, mirror, { repoUrl: order.source.repoUrl, flags, refspec }, signal)
}

async function resolveSeen(deps: SourceDeps, mirror: Mirror, signal: AbortSignal): Promise<string> {
  const args = ['rev-parse', '--verify', '--end-of-options', SEEN]
  return (
    await runGit(deps, mirror.site, { gitDirectory: mirror.directory, args }, signal)
  ).stdout.trim()
}

async function requireAncestor(
  deps: SourceDeps,
  mirror: Mirror,
  source: Source,
  sha: string,
  signal: AbortSignal,
): Promise<void> {
  const args = ['merge-base', '--is-ancestor', sha, SEEN]
  const found = await runGit(deps, mirror.site, { gitDirectory: mirror.directory, args }, signal)
  if (found.exitCode === 0) return
  const repository = parseRepositoryUrl(source.repoUrl, deps.gitHosts)
  const reason = `commit ${sha} is not among the last ${SEARCH_DEPTH} of its branch`
  throw sourceError('source.not_found', repository, reason)
}

/** Nothing is pruned, but a ref says so to every git that may ever look. */
async function keep(
  deps: SourceDeps,
  mirror: Mirror,
  sha: string,
  signal: AbortSignal,
): Promise<void> {
  const args = ['update-ref', '--no-deref', `refs/nanoscale/commits/${sha}`, sha]
  await runGit(deps, mirror.site, { gitDirectory: mirror.directory, args }, signal)
}

async function readCommit(
  deps: SourceDeps,
  mirror: Mirror,
  sha: string,
  signal: AbortSignal,
): Promise<FetchedCommit> {
  const format = '--format=%T%x00%an%x00%cI%x00%B'
  const args = ['log', '-1', '--no-show-signature', '--no-mailmap', format, '--end-of-options', sha]
  const run = { gitDirectory: mirror.directory, args, maxOutputBytes: 262_144 }
  const { stdout } = await runGit(deps, mirror.site, run, signal)
  const [treeId = '', authorName = '', time = '', message = ''] = stdout.split('\0')
  return {
    sha,
    treeId: requireObjectId(treeId),
    message: message.trim().slice(0, MAX_MESSAGE),
    authorName: authorName.slice(0, 200),
    // A commit may carry any time, also one that no clock shows.
    committedAt: Number.isNaN(Date.parse(time))
      ? '1970-01-01T00:00:00.000Z'
      : new Date(time).toISOString(),
  }
}
