import { changedPathsBetween, commitMessagesSince } from './commit-history.ts'
import { fetchCommit } from './fetch-commit.ts'
import { readBranchHead } from './read-branch-head.ts'
import type { Source, SourceDeps } from './source-deps.ts'

/** What deployments ask of a repository, bound to what it needs. */
export function createSources(deps: SourceDeps) {
  return {
    readBranchHead: async (source: Source, branch: string, signal: AbortSignal) => {
      const head = await deps.linked?.readHead(source, branch, signal)
      if (head !== undefined && head.kind !== 'ask_git') return head
      return await readBranchHead(deps, source, branch, signal)
    },
    fetchCommit: (source: Source, sha: string, branch: string, signal: AbortSignal) =>
      fetchCommit(deps, source, sha, branch, signal),
    commitMessagesSince: (source: Source, from: string, to: string, signal: AbortSignal) =>
      commitMessagesSince(deps, source, from, to, signal),
    changedPathsBetween: (source: Source, from: string, to: string, signal: AbortSignal) =>
      changedPathsBetween(deps, source, from, to, signal),
  }
}
