import { requireBranchName } from './branch-name.ts'
import { requireObjectId } from './git-command.ts'
import { openRemote, runRemoteGit, withRetries } from './run-git.ts'
import { limitsOf } from './source-deps.ts'
import type { Source, SourceDeps } from './source-deps.ts'

export type BranchHead = { kind: 'found'; sha: string } | { kind: 'branch_gone' }

/**
 * Asks the host where a branch is, without a mirror: in an empty directory that is removed again. Repeats what may pass
 * by itself. Throws `source.unreachable`, `source.not_found` and `source.refused`.
 */
export async function readBranchHead(
  deps: SourceDeps,
  source: Source,
  branch: string,
  signal: AbortSignal,
): Promise<BranchHead> {
  const ref = `refs/heads/${requireBranchName(branch)}`
  const timeoutMs = limitsOf(deps).lookTimeoutMs
  await using lease = await deps.buildAccounts.acquire(signal)
  const place = { area: 'builds', id: `look-${deps.newId()}` } as const
  await deps.spawner.makeDirectory(place, lease.account)
  try {
    const site = { account: lease.account, place }
    const output = await withRetries(
      deps,
      async () => {
        const remote = await openRemote(deps, source, signal)
        const args = ['ls-remote', '--quiet', '--', remote.repository.url, ref]
        return await runRemoteGit(
          deps,
          site,
          { gitDirectory: null, args, remote, timeoutMs },
          signal,
        )
      },
      signal,
    )
    return findRef(output, ref)
  } finally {
    await deps.spawner.remove(place)
  }
}

/** git matches the ends of names too: `refs/heads/x` also finds `refs/heads/refs/heads/x`. */
function findRef(output: string, ref: string): BranchHead {
  for (const line of output.split('\n')) {
    const [sha = '', name] = line.split('\t')
    if (name === ref) return { kind: 'found', sha: requireObjectId(sha) }
  }
  return { kind: 'branch_gone' }
}
