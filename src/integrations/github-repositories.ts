import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import type { Logger } from '../lib/logger.ts'
import { createBranches, type Branches } from './branches.ts'
import { redeliveryJob } from './heal-github.ts'
import { createHookKeeper, type HookKeeper } from './hooks.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { createRepositorySync, repositorySyncJob, type RepositorySync } from './repository-sync.ts'

/** All that keeps repositories of GitHub and their hooks in step. */
export interface GithubRepositories extends AsyncDisposable {
  sync: RepositorySync
  branches: Branches
  hooks: HookKeeper
  jobs: readonly RecurringJob[]
}

export function createGithubRepositories(
  deps: IntegrationDeps & { log: Logger },
): GithubRepositories {
  const sync = createRepositorySync(deps)
  const hooks = createHookKeeper(deps)
  return {
    sync,
    branches: createBranches(deps),
    hooks,
    jobs: [hooks.job, repositorySyncJob(deps), redeliveryJob(deps)],
    [Symbol.asyncDispose]: () => sync[Symbol.asyncDispose](),
  }
}
