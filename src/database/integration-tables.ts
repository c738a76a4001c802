/** Rows of accounts at Git hosts: Apps, links of people, installations, repositories. */

export type IntegrationType = 'github' | 'gitlab' | 'bitbucket' | 'gitea'
export type IntegrationStatus = 'pending' | 'active' | 'suspended' | 'inactive'

/** A provider account that was configured. `config` has no secrets: those are in `integration_credentials`. */
export interface IntegrationTable {
  id: string
  /** Null: the App from the environment, which every organization may use. */
  organization_id: string | null
  user_id: string | null
  type: IntegrationType
  name: string
  status: IntegrationStatus
  status_reason: string | null
  config: Record<string, unknown>
  /** Up to when deliveries of the App's hook were looked through. */
  swept_at: string | null
  last_used_at: string | null
  created_at: string
  updated_at: string
}

/** Secrets of webhooks are with their hooks. */
export type CredentialKind = 'client_secret' | 'private_key' | 'previous_private_key'

export interface IntegrationCredentialTable {
  id: string
  integration_id: string
  kind: CredentialKind
  value_sealed: string
  expires_at: string | null
  created_at: string
  updated_at: string
}

/** A person's account at GitHub, linked through one App. Refreshing is single-flight by the lease. */
export interface GithubUserLinkTable {
  id: string
  integration_id: string
  local_user_id: string
  github_user_id: number
  github_login: string
  access_token_sealed: string
  refresh_token_sealed: string | null
  token_expires_at: string | null
  refresh_expires_at: string | null
  lease_token: string | null
  lease_expires_at: string | null
  created_at: string
  updated_at: string
}

export type GithubAccountType = 'User' | 'Organization' | 'Enterprise'

interface InstallationFacts {
  id: string
  integration_id: string
  installation_id: number
  account_id: number
  account_login: string
  account_type: GithubAccountType
  target_type: string
  target_id: number
  repository_selection: 'all' | 'selected'
  permissions: Record<string, string>
  events: string[]
  html_url: string
  suspended_at: string | null
  created_at: string
}

export interface GithubInstallationTable extends InstallationFacts {
  /** Null until an organization claims it as a whole. */
  organization_id: string | null
  /** Who connected it. */
  local_user_id: string | null
  removed_at: string | null
  synced_at: string | null
  sync_error: string | null
  /** Whose turn it is to read its repositories; without a token, when the sweep may try again after a failure. */
  sync_token: string | null
  sync_until: string | null
  updated_at: string
}

/** Which people were verified to reach which installation, and what they are to its account. */
export interface GithubInstallationUserTable {
  github_installation_id: string
  local_user_id: string
  github_user_id: number
  account_role: 'self' | 'admin' | 'member' | 'none'
  verified_at: string
}

/** Installed from GitHub's side with nobody known. A claim is one conditional update. */
export interface UnclaimedInstallationTable extends InstallationFacts {
  app_slug: string
  sender_id: number
  sender_login: string
  facts: Record<string, unknown>
  expires_at: string
  claimed_at: string | null
  claimed_by_organization_id: string | null
  claimed_by_user_id: string | null
}

/** Removed softly: links and grants survive when a repository is added again. */
export interface GithubRepositoryTable {
  id: string
  integration_id: string
  github_installation_id: string
  installation_id: number
  repo_id: number
  node_id: string
  owner_login: string
  name: string
  full_name: string
  default_branch: string
  is_private: boolean
  html_url: string
  clone_url: string
  archived: boolean
  disabled: boolean
  /** What the App's own token was told; what a person may is in `github_repository_users`. */
  permission_admin: boolean
  permission_push: boolean
  permission_pull: boolean
  pushed_at: string | null
  removed_at: string | null
  last_synced_at: string
  created_at: string
}

export interface GithubRepositoryUserTable {
  github_repository_id: string
  local_user_id: string
  permission_admin: boolean
  permission_push: boolean
  permission_pull: boolean
  verified_at: string
}
