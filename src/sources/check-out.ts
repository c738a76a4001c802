import { OperationError } from '../lib/errors.ts'
import type { BuildAccount, Place } from '../spawner/spawner.ts'
import { requireObjectId } from './git-command.ts'
import { checkOutFailure } from './git-failure.ts'
import { withMirror } from './mirror.ts'
import { runGit } from './run-git.ts'
import { limitsOf } from './source-deps.ts'
import type { Source, SourceDeps } from './source-deps.ts'

/** Where one build happens: a place of its account with `source`, `home` and `tmp` in it. */
export interface Workspace {
  account: BuildAccount
  place: Place & { area: 'builds' }
  /** Absolute. */
  path: string
}

/** The directory of a workspace that holds the repository's files. */
export const SOURCE_DIRECTORY = 'source'

/** Makes the directory of a build. The caller removes the place when done. */
export async function makeWorkspace(
  deps: Pick<SourceDeps, 'spawner' | 'newId'>,
  id: string,
  account: BuildAccount,
  signal: AbortSignal,
): Promise<Workspace> {
  const place = { area: 'builds', id } as const
  const path = await deps.spawner.makeDirectory(place, account)
  const made = await deps.spawner.run(
    {
      unit: `workspace-${deps.newId()}`,
      account,
      argv: ['mkdir', '-p', '--', SOURCE_DIRECTORY, 'home', 'tmp'],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      directory: place,
      limits: { maxProcesses: 4096, maxOpenFiles: 256 },
      timeoutMs: 10_000,
    },
    signal,
  )
  if (made.exitCode === 0) return { account, place, path }
  throw new OperationError('build.workspace', `Cannot make "${path}": ${made.stderr.trim()}`)
}

/**
 * Writes the files of a commit that is in the mirror into the workspace, as the build's account. No hook, filter, LFS
 * download or submodule runs: there is no configuration that defines one.
 */
export async function checkOut(
  deps: SourceDeps,
  source: Source,
  sha: string,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<void> {
  requireObjectId(sha)
  await withMirror(
    deps,
    source,
    async (mirror) => {
      const site = { account: workspace.account, place: workspace.place, mirror: mirror.id }
      const call = {
        gitDirectory: mirror.directory,
        indexFile: `${workspace.path}/index`,
        workTree: `${workspace.path}/${SOURCE_DIRECTORY}`,
        timeoutMs: limitsOf(deps).fetchTimeoutMs,
      }
      // One process for index and files; into an empty directory, so nothing is there that it could keep or lose.
      const args = ['read-tree', '--reset', '-u', sha]
      const result = await runGit(deps, site, { ...call, args }, signal)
      if (result.exitCode !== 0) throw checkOutFailure(sha, result.stderr)
    },
    signal,
    workspace.account,
  )
}
