import { isOperationError } from '../lib/errors.ts'
import { requireObjectId } from './git-command.ts'
import { fetchInto, withMirror } from './mirror.ts'
import type { Mirror } from './mirror.ts'
import { runGit } from './run-git.ts'
import type { Source, SourceDeps } from './source-deps.ts'

const MAX_COMMITS = 50
const MAX_LIST_BYTES = 4 * 1024 * 1024

/**
 * The messages of the commits after `from` up to and including `to`, newest first; `not_computable` when `from` is not
 * before `to`, when there are more than 50, or when the host does not show enough of the history.
 */
export async function commitMessagesSince(
  deps: SourceDeps,
  source: Source,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<string[] | 'not_computable'> {
  const range = `${requireObjectId(from)}..${requireObjectId(to)}`
  return await withMirror(
    deps,
    source,
    async (mirror) => {
      if (!(await obtain(deps, mirror, source, to, MAX_COMMITS + 1, signal)))
        return 'not_computable'
      const git = { gitDirectory: mirror.directory }
      const ancestor = { ...git, args: ['merge-base', '--is-ancestor', from, to] }
      const isBefore = await runGit(deps, mirror.site, ancestor, signal)
      if (isBefore.exitCode !== 0) return 'not_computable'
      // Where a shallow history was cut, git decorates the commit as `grafted`: there may be more behind it.
      const flags = [`--max-count=${MAX_COMMITS + 1}`, '--decorate=full', '--no-mailmap', '-z']
      const args = ['log', ...flags, '--format=%D%n%B', '--end-of-options', range]
      const listed = await runGit(
        deps,
        mirror.site,
        { ...git, args, maxOutputBytes: MAX_LIST_BYTES },
        signal,
      )
      if (listed.exitCode !== 0 || listed.truncated) return 'not_computable'
      const commits = listed.stdout.split('\0').filter((commit) => commit !== '')
      const isCut = commits.some((commit) => /^(?:.*, )?grafted(?:,|$)/m.test(firstLine(commit)))
      if (isCut || commits.length > MAX_COMMITS) return 'not_computable'
      return commits.map((commit) => commit.slice(firstLine(commit).length).trim())
    },
    signal,
  )
}

/** The paths that differ between two commits, renames as both names; `not_computable` when one is not to be had. */
export async function changedPathsBetween(
  deps: SourceDeps,
  source: Source,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<string[] | 'not_computable'> {
  requireObjectId(from)
  requireObjectId(to)
  return await withMirror(
    deps,
    source,
    async (mirror) => {
      for (const sha of [from, to]) {
        const isThere =
          (await hasCommit(deps, mirror, sha, signal)) ||
          (await obtain(deps, mirror, source, sha, 1, signal))
        if (!isThere) return 'not_computable'
      }
      const flags = ['-r', '-z', '--name-only', '--no-renames', '--no-ext-diff', '--no-textconv']
      const args = ['diff-tree', ...flags, '--end-of-options', from, to]
      const run = { gitDirectory: mirror.directory, args, maxOutputBytes: MAX_LIST_BYTES }
      const listed = await runGit(deps, mirror.site, run, signal)
      if (listed.exitCode !== 0 || listed.truncated) return 'not_computable'
      return listed.stdout.split('\0').filter((path) => path !== '')
    },
    signal,
  )
}

function firstLine(text: string): string {
  return text.slice(0, text.indexOf('\n'))
}

async function hasCommit(deps: SourceDeps, mirror: Mirror, sha: string, signal: AbortSignal) {
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${sha}^{tree}`]
  const run = { gitDirectory: mirror.directory, args }
  return (await runGit(deps, mirror.site, run, signal)).exitCode === 0
}

/** Fetches a commit by its id with some of its history; false when the host does not give it. */
async function obtain(
  deps: SourceDeps,
  mirror: Mirror,
  source: Source,
  sha: string,
  depth: number,
  signal: AbortSignal,
): Promise<boolean> {
  const refspec = `+${sha}:refs/nanoscale/commits/${sha}`
  const fetch = { source, flags: [`--depth=${depth}`], refspec }
  try {
    await fetchInto(deps, mirror, fetch, signal)
    return true
  } catch (error) {
    if (isOperationError(error, 'source.not_found')) return false
    throw error
  }
}
