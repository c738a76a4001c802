import type { GithubAccountType } from '../database/schema.ts'
import type { Secret } from '../lib/secret.ts'

/**
 * GitHub (or a GitHub Enterprise Server) as the rest of NanoScale sees it: an App, the people who link their accounts
 * through it, its installations, repositories and hooks. `githosts/github/` speaks its API. Ids are exact numbers; a
 * host's answer is checked before anything is believed.
 *
 * Failures are `OperationError`s: `github.unreachable` (network, 5xx, no answer in time), `github.rate_limited` (with
 * `retryAfterSeconds`), `github.refused` (a 401 or 403 that is not about limits; of a person's code or token: they have
 * to authorize again), `github.app_refused` (OAuth, and it is about the App), `github.not_found`, `github.gone`
 * (suspended or removed installation), `github.permission_missing`, `github.too_many_hooks`, `github.unusable_key`,
 * `github.invalid_answer`; `source.host_not_allowed` for a site that is not among the allowed Git hosts.
 */
export interface GithubHost {
  /** As the App itself (a signed JWT). */
  readApp(app: GithubApp, signal: AbortSignal): Promise<AppFacts>
  /** Trades the code of a manifest for the App; single use. */
  convertManifest(site: GithubSite, code: string, signal: AbortSignal): Promise<NewApp>
  listInstallations(app: GithubApp, signal: AbortSignal): AsyncIterable<InstallationFacts>
  readInstallation(app: GithubApp, id: number, signal: AbortSignal): Promise<InstallationFacts>
  readHookConfig(app: GithubApp, signal: AbortSignal): Promise<{ url: string | null }>
  changeHookConfig(
    app: GithubApp,
    change: { url?: string; secret?: Secret },
    signal: AbortSignal,
  ): Promise<void>
  /** Deliveries of the App's hook, newest first, back to `since`. */
  listDeliveries(app: GithubApp, since: string, signal: AbortSignal): AsyncIterable<DeliveryFacts>
  redeliver(app: GithubApp, deliveryId: number, signal: AbortSignal): Promise<void>

  /** As a person (OAuth with PKCE). */
  authorizationUrl(app: GithubApp, request: AuthorizationRequest): string
  exchangeCode(app: GithubApp, code: CodeExchange, signal: AbortSignal): Promise<UserTokens>
  refreshTokens(app: GithubApp, refreshToken: Secret, signal: AbortSignal): Promise<UserTokens>
  /** Ends the grant of this person: all tokens of the App for them. */
  revokeGrant(app: GithubApp, accessToken: Secret, signal: AbortSignal): Promise<void>
  readUser(
    app: GithubApp,
    token: Secret,
    signal: AbortSignal,
  ): Promise<{ id: number; login: string }>
  listUserInstallations(
    app: GithubApp,
    token: Secret,
    signal: AbortSignal,
  ): AsyncIterable<InstallationFacts>
  /** What this person reaches behind an installation, page by page, with their own permissions. */
  listUserRepositories(
    app: GithubApp,
    token: Secret,
    installationId: number,
    signal: AbortSignal,
  ): AsyncIterable<readonly RepositoryFacts[]>
  /** The person's role in an organization; null when they have none or it cannot be read. */
  readOrganizationRole(
    app: GithubApp,
    token: Secret,
    login: string,
    signal: AbortSignal,
  ): Promise<'admin' | 'member' | null>
  /** As this person sees it: with their own permissions. */
  readUserRepository(
    app: GithubApp,
    token: Secret,
    repoId: number,
    signal: AbortSignal,
  ): Promise<RepositoryFacts>

  /**
   * A token of an installation for these repositories and permissions alone, kept while it is good for five minutes
   * more. Never wider than asked: an answer that is throws `github.wider_token` after revoking it. `null` repositories:
   * all of the installation, for inventory (metadata:read) only. An order for nothing is `github.invalid_order`.
   */
  mintToken(app: GithubApp, order: TokenOrder, signal: AbortSignal): Promise<InstallationToken>
  revokeToken(app: GithubApp, token: Secret, signal: AbortSignal): Promise<void>
  /**
   * What we know of an installation from elsewhere: unless it is active, its tokens are forgotten and everything about it
   * is `github.gone` at once, without a request, until it is noted as active again. Kept in this process alone.
   */
  noteInstallation(app: GithubApp, installationId: number, state: InstallationState): void

  /** As an installation. */
  listRepositories(
    app: GithubApp,
    installationId: number,
    signal: AbortSignal,
  ): AsyncIterable<readonly RepositoryFacts[]>
  readRepository(
    app: GithubApp,
    place: RepositoryPlace,
    signal: AbortSignal,
  ): Promise<RepositoryFacts>
  listBranches(
    app: GithubApp,
    place: RepositoryPlace,
    page: { number: number; size: number },
    signal: AbortSignal,
  ): Promise<{ branches: { name: string; head: string }[]; more: boolean }>
  /** The head of a branch; `unchanged` costs nothing of the rate limit. */
  readBranchHead(
    app: GithubApp,
    place: RepositoryPlace,
    branch: string,
    etag: string | null,
    signal: AbortSignal,
  ): Promise<BranchHeadAnswer>
  /** Creates our hook for pushes, or finds and corrects the one with this URL. */
  ensureRepositoryHook(
    app: GithubApp,
    place: RepositoryPlace,
    hook: { url: string; secret: Secret; knownId: number | null },
    signal: AbortSignal,
  ): Promise<{ id: number }>
  /** No error when it is gone already. */
  removeRepositoryHook(
    app: GithubApp,
    place: RepositoryPlace,
    id: number,
    signal: AbortSignal,
  ): Promise<void>
  /** Says at the commit how a deployment went; needs statuses:write. */
  reportStatus(
    app: GithubApp,
    place: RepositoryPlace,
    status: CommitStatus,
    signal: AbortSignal,
  ): Promise<void>
  /** What is left of the rate limit of an installation, as its last answer told. */
  remainingBudget(app: GithubApp, installationId: number): RateBudget | null
}

/** Where a GitHub is: github.com, or a server of one's own. */
export interface GithubSite {
  /** `https://api.github.com`, or `https://HOST/api/v3`. */
  apiUrl: string
  /** `https://github.com`: where people go, and where repositories are cloned from. */
  webUrl: string
}

/** An App with all that speaking for it takes. Keys: the newest first; the next is tried after a 401. */
export interface GithubApp extends GithubSite {
  integrationId: string
  appId: number
  slug: string
  clientId: string
  clientSecret: Secret
  privateKeys: readonly Secret[]
}

export interface AppFacts {
  id: number
  slug: string
  name: string
  clientId: string
  ownerLogin: string
  permissions: Permissions
  events: string[]
  /** Distance between our clock and GitHub's, in seconds; positive when ours is ahead. */
  clockSkewSeconds: number
}

export type Permissions = Readonly<Record<string, string>>

/** What the conversion of a manifest gives, once. */
export interface NewApp {
  id: number
  slug: string
  name: string
  ownerLogin: string
  clientId: string
  clientSecret: Secret
  webhookSecret: Secret | null
  privateKey: Secret
  permissions: Permissions
  events: string[]
  htmlUrl: string
}

export interface InstallationFacts {
  id: number
  appId: number
  appSlug: string
  account: { id: number; login: string; type: GithubAccountType }
  targetType: string
  targetId: number
  repositorySelection: 'all' | 'selected'
  permissions: Permissions
  events: string[]
  htmlUrl: string
  suspendedAt: string | null
}

export interface RepositoryFacts {
  id: number
  nodeId: string
  ownerLogin: string
  name: string
  fullName: string
  defaultBranch: string
  isPrivate: boolean
  htmlUrl: string
  cloneUrl: string
  archived: boolean
  disabled: boolean
  pushedAt: string | null
  permissions: { admin: boolean; push: boolean; pull: boolean }
}

export interface AuthorizationRequest {
  state: string
  codeChallenge: string
  redirectUri: string
}

export interface CodeExchange {
  code: string
  codeVerifier: string
  redirectUri: string
}

export interface UserTokens {
  accessToken: Secret
  /** Null when tokens of this App do not expire. */
  expiresAt: string | null
  refreshToken: Secret | null
  refreshExpiresAt: string | null
}

export type InstallationState = 'active' | 'suspended' | 'removed'

export interface TokenOrder {
  installationId: number
  repositoryIds: readonly number[] | null
  permissions: Permissions
}

export interface InstallationToken {
  token: Secret
  expiresAt: string
}

/** A repository by its immutable id, reached through an installation. */
export interface RepositoryPlace {
  installationId: number
  repoId: number
}

export type BranchHeadAnswer =
  | { kind: 'found'; head: string; etag: string | null }
  | { kind: 'unchanged' }
  | { kind: 'branch_gone' }

/** One attempt to deliver; attempts of one event share the `guid`. */
export interface DeliveryFacts {
  id: number
  guid: string
  deliveredAt: string
  /** `OK`, or why not; a timeout has no status code. */
  status: string
  statusCode: number | null
  event: string
  redelivery: boolean
}

export interface CommitStatus {
  sha: string
  state: 'pending' | 'success' | 'failure' | 'error'
  description: string
  targetUrl: string | null
  context: string
}

export interface RateBudget {
  limit: number
  remaining: number
  resetAt: string
}
