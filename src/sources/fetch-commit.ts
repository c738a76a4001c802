import { OperationError } from '../lib/errors.ts'
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
 * or of before a force-push). One that was brought before is there: the host is not asked again. Throws `source.not_found`, `source.unreachable` and `source.refused`.
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
      const kept = await readCommit(deps, mirror, keptRef(sha), signal)
      if (kept !== null) return kept
      await fetchHead(deps, mirror, { source, ref, depth: 1 }, signal)
      let commit = await readCommit(deps, mirror, SEEN, signal)
      if (commit?.sha !== sha) {
        await fetchHead(deps, mirror, { source, ref, depth: SEARCH_DEPTH }, signal)
        await requireAncestor(deps, mirror, source, sha, signal)
        commit = await readCommit(deps, mirror, sha, signal)
      }
      if (commit === null) throw unreadable(sha)
      await keep(deps, mirror, sha, signal)
      return commit
    },
    signal,
  )
}

const SEEN = 'refs/nanoscale/seen'

/** Given only to commits that were found on their branch. */
function keptRef(sha: string): string {
  return `refs/nanoscale/commits/${sha}`
}

async function fetchHead(
  deps: SourceDeps,
  mirror: Mirror,
  order: { source: Source; ref: string; depth: number },
  signal: AbortSignal,
): Promise<void> {
  const refspec = `+${order.ref}:${SEEN}`
  const flags = [`--depth=${order.depth}`]
  await fetchInto(deps, mirror, { source: order.source, flags, refspec }, signal)
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
  const args = ['update-ref', '--no-deref', keptRef(sha), sha]
  await runGit(deps, mirror.site, { gitDirectory: mirror.directory, args }, signal)
}

/** Null when there is no such commit. */
async function readCommit(
  deps: SourceDeps,
  mirror: Mirror,
  revision: string,
  signal: AbortSignal,
): Promise<FetchedCommit | null> {
  const format = '--format=%H%x00%T%x00%an%x00%cI%x00%B'
  const flags = ['--no-show-signature', '--no-mailmap', format]
  const args = ['log', '-1', ...flags, '--end-of-options', revision, '--']
  const run = { gitDirectory: mirror.directory, args, maxOutputBytes: 262_144 }
  const { exitCode, stdout } = await runGit(deps, mirror.site, run, signal)
  if (exitCode !== 0) return null
  const [sha = '', treeId = '', authorName = '', time = '', message = ''] = stdout.split('\0')
  return {
    sha: requireObjectId(sha),
    treeId: requireObjectId(treeId),
    message: message.trim().slice(0, MAX_MESSAGE),
    authorName: authorName.slice(0, 200),
    // A commit may carry any time, also one that no clock shows.
    committedAt: Number.isNaN(Date.parse(time))
      ? '1970-01-01T00:00:00.000Z'
      : new Date(time).toISOString(),
  }
}

function unreadable(sha: string): OperationError {
  return new OperationError('source.unreadable', `Cannot read commit ${sha} after it was fetched`)
}
