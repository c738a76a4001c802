import { requireBranchName } from '../sources/branch-name.ts'
import { parseRepositoryUrl } from '../sources/repository-url.ts'

export interface SourceRules {
  /** Hosts that repositories may be on, as in the configuration. */
  gitHosts: readonly string[]
}

export interface ManualSource {
  repo_url: string
  branch: string
}

/** The source as it is stored. Throws `source.*` for what is wrong with the URL or the branch, naming the field. */
export function checkSource(rules: SourceRules, source: ManualSource): ManualSource {
  return {
    repo_url: parseRepositoryUrl(source.repo_url, rules.gitHosts).url,
    branch: requireBranchName(source.branch),
  }
}
