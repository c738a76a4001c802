import type { components } from '@octokit/openapi-types'

/** GitHub's own descriptions of what its API answers. */
export type Schemas = components['schemas']

/** What a role lets its holder do to a repository, each including the ones before it. */
export const REPOSITORY_ROLES = ['pull', 'triage', 'push', 'maintain', 'admin'] as const
export type RepositoryRole = (typeof REPOSITORY_ROLES)[number]

export type Level = 'read' | 'write' | 'admin'
/** By GitHub's names: `contents`, `metadata`, `repository_hooks` … */
export type Permissions = Readonly<Record<string, Level>>

export interface Account {
  readonly id: number
  readonly type: 'User' | 'Organization' | 'Bot'
  login: string
  name: string | null
  /** Of a person; the first one is public and the author address of their commits. */
  emails: { email: string; primary: boolean; verified: boolean }[]
  /** Of an organization: roles by user id. */
  members: Map<number, 'admin' | 'member'>
  /** What members of an organization may do to all of its repositories. */
  basePermission: RepositoryRole | null
  createdAt: number
}

export interface Repository {
  readonly id: number
  ownerId: number
  name: string
  description: string | null
  private: boolean
  archived: boolean
  disabled: boolean
  defaultBranch: string
  collaborators: Map<number, RepositoryRole>
  /** `refs/heads/main` → commit, as the last push left them. */
  refs: Map<string, string>
  /** The refs before the last push: what a replica that lags still answers. */
  laggingRefs: Map<string, string>
  createdAt: number
  pushedAt: number
}

export interface HookConfig {
  url: string
  contentType: 'json' | 'form'
  secret: string | null
  insecureSsl: '0' | '1'
}

export interface App {
  readonly id: number
  readonly clientId: string
  slug: string
  name: string
  description: string | null
  url: string
  ownerId: number
  clientSecrets: string[]
  /** PEM, the newest last. */
  publicKeys: string[]
  permissions: Permissions
  events: string[]
  hook: HookConfig & { active: boolean }
  callbackUrls: string[]
  setupUrl: string | null
  setupOnUpdate: boolean
  requestOauthOnInstall: boolean
  public: boolean
  expiringUserTokens: boolean
  createdAt: number
}

export interface Installation {
  readonly id: number
  readonly appId: number
  readonly accountId: number
  selection: 'all' | 'selected'
  /** Only for `selected`. */
  repositoryIds: number[]
  permissions: Permissions
  events: string[]
  suspended: { at: number; by: number | null } | null
  createdAt: number
  updatedAt: number
}

export interface InstallationToken {
  readonly kind: 'installation'
  readonly token: string
  readonly installationId: number
  readonly permissions: Permissions
  /** Null: all that the installation has. */
  readonly repositoryIds: readonly number[] | null
  readonly createdAt: number
  readonly expiresAt: number
  /** So many uses are still answered 401, as by a replica that has not heard of it. */
  unknownFor: number
}

export interface UserToken {
  readonly kind: 'user'
  readonly token: string
  readonly userId: number
  /** Null for a personal access token. */
  readonly appId: number | null
  readonly scopes: readonly string[]
  readonly createdAt: number
  readonly expiresAt: number | null
  unknownFor: number
}

export interface RefreshToken {
  readonly token: string
  readonly accessToken: string
  readonly userId: number
  readonly appId: number
  readonly expiresAt: number
}

export interface AuthorizationCode {
  readonly appId: number
  readonly userId: number
  readonly redirectUri: string
  readonly challenge: string | null
  readonly createdAt: number
}

export interface ManifestConversion {
  readonly appId: number
  readonly pem: string
  readonly createdAt: number
}

export interface Hook {
  readonly id: number
  readonly repositoryId: number
  config: HookConfig
  events: string[]
  active: boolean
  createdAt: number
  updatedAt: number
  lastResponse: { code: number | null; status: string; message: string | null }
}

/** An App's webhook, or a repository's. */
export type HookTarget =
  | { readonly kind: 'app'; readonly appId: number }
  | { readonly kind: 'repository'; readonly hookId: number }

/** One attempt to deliver an event to a hook. */
export interface Delivery {
  readonly id: number
  /** Of the event: the same for all hooks and all attempts. */
  readonly guid: string
  readonly target: HookTarget
  readonly event: string
  readonly action: string | null
  readonly installationId: number | null
  readonly repositoryId: number | null
  readonly redelivery: boolean
  readonly url: string
  readonly body: string
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly throttledAt: number | null
  readonly deliveredAt: number
  /** Seconds. */
  readonly duration: number
  /** `OK`, or what went wrong. */
  readonly status: string
  /** 0 when there was no answer. */
  readonly statusCode: number
  readonly responseHeaders: Readonly<Record<string, string>>
  readonly responseBody: string
}

export interface CommitStatus {
  readonly id: number
  readonly repositoryId: number
  readonly sha: string
  readonly state: 'error' | 'failure' | 'pending' | 'success'
  readonly context: string
  readonly description: string | null
  readonly targetUrl: string | null
  readonly creatorId: number
  readonly createdAt: number
}

export interface Deployment {
  readonly id: number
  readonly repositoryId: number
  readonly sha: string
  readonly ref: string
  readonly task: string
  readonly environment: string
  readonly description: string | null
  readonly payload: Record<string, unknown>
  readonly transient: boolean
  readonly production: boolean
  readonly creatorId: number
  readonly createdAt: number
  readonly statuses: DeploymentStatus[]
}

export interface DeploymentStatus {
  readonly id: number
  readonly state: Schemas['deployment-status']['state']
  readonly description: string
  readonly logUrl: string
  readonly environmentUrl: string
  readonly createdAt: number
}

/** A request that was answered (or left without an answer) here. */
export interface LoggedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** 0 when the connection was cut. */
  status: number
}

/** Everything that the stand-in knows, as plain data: a snapshot is a structured clone of it. */
export interface State {
  accounts: Map<number, Account>
  repositories: Map<number, Repository>
  /** Old `owner/name`, lower case → repository id, until the name is used again. */
  formerNames: Map<string, number>
  apps: Map<number, App>
  installations: Map<number, Installation>
  installationTokens: Map<string, InstallationToken>
  userTokens: Map<string, UserToken>
  refreshTokens: Map<string, RefreshToken>
  codes: Map<string, AuthorizationCode>
  /** `<app id>:<user id>` of people who authorized an App. */
  authorizations: Set<string>
  conversions: Map<string, ManifestConversion>
  hooks: Map<number, Hook>
  deliveries: Map<number, Delivery>
  statuses: CommitStatus[]
  deployments: Map<number, Deployment>
  rateWindows: Map<string, { used: number; resetAt: number }>
}

export function createState(): State {
  return {
    accounts: new Map(),
    repositories: new Map(),
    formerNames: new Map(),
    apps: new Map(),
    installations: new Map(),
    installationTokens: new Map(),
    userTokens: new Map(),
    refreshTokens: new Map(),
    codes: new Map(),
    authorizations: new Set(),
    conversions: new Map(),
    hooks: new Map(),
    deliveries: new Map(),
    statuses: [],
    deployments: new Map(),
    rateWindows: new Map(),
  }
}
