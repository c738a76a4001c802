import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { DeploymentEvents } from '../deployments/deployment-events.ts'
import type { InstanceLogPlaces } from '../deployments/instance-logs.ts'
import type { ReconcileOutcome } from '../deployments/reconcile-branch.ts'
import type { GithubHost } from '../githosts/github-host.ts'
import type { ClerkSessions } from '../identity/authenticate.ts'
import type { ClerkWebhook } from '../identity/clerk/receive-clerk-message.ts'
import type { Oidc } from '../identity/oidc/create-oidc.ts'
import type { SignIn } from '../identity/sign-in/create-sign-in.ts'
import type { Branches } from '../integrations/branches.ts'
import type { EnvironmentApp } from '../integrations/environment-app.ts'
import type { HookKeeper } from '../integrations/hooks.ts'
import type { RepositorySync } from '../integrations/repository-sync.ts'
import type { Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Logger } from '../lib/logger.ts'
import type { Mailer } from '../mail/create-mailer.ts'
import type { Keyring } from '../secrets/keyring.ts'
import type { Redactor } from '../secrets/redactor.ts'
import type { Isolation } from '../spawner/spawner.ts'
import type { Webhooks } from '../webhooks/start-webhooks.ts'

/** What the API asks of the deployment engine. Requests are rows; after one it is woken. */
export interface DeploymentCommands {
  /** Looks at the branch now, because a person asks. */
  reconcile(projectId: string, signal: AbortSignal): Promise<ReconcileOutcome>
  wake(): void
}

/** What the API asks of GitHub about repositories, besides reading its own records. */
export interface GithubRepositories {
  sync: Pick<RepositorySync, 'refresh'>
  branches: Branches
  hooks: Pick<HookKeeper, 'keep'>
}

export interface Finding {
  check: string
  status: 'ok' | 'warning' | 'failed'
  message: string
  fix: string | null
}

export interface RotationProgress {
  resealed: number
  total: number | null
}

export interface KeyFacts {
  id: string
  current: boolean
  sealedValues: number
  createdAt: string | null
  retiredAt: string | null
}

/** What the API tells and does about the instance itself. */
export interface InstanceOperations {
  version: string
  startedAt: string
  isolation(): Promise<Isolation>
  doctor(signal: AbortSignal): Promise<Finding[]>
  keyStatus(): Promise<KeyFacts[]>
  /** Seals everything again with a new key, telling how far it is. Goes on when the client is gone. */
  rotateKeys(onProgress: (progress: RotationProgress) => void): Promise<void>
  retireKey(id: string): Promise<void>
  /** True for each part that works: `database`, `traffic`, `worker`. */
  readiness(signal: AbortSignal): Promise<Readonly<Record<string, boolean>>>
  /** Further lines for `/metrics`, in the Prometheus text format. */
  metrics?(): Promise<string>
}

/** All that the HTTP servers use; each handler asks for the few that it needs. */
export interface HttpApp {
  config: Pick<
    Config,
    | 'bind'
    | 'port'
    | 'dataDirectory'
    | 'baseDomain'
    | 'publicBaseUrl'
    | 'trafficUrl'
    | 'gitHosts'
    | 'pollIntervalSeconds'
    | 'runtime'
    | 'database'
    | 'trustedProxies'
    | 'requestsPerMinute'
    | 'allowUnisolated'
    | 'oidcIssuer'
    | 'oidcName'
  >
  db: Database
  clock: Clock
  newId: NewId
  log: Logger
  mailer: Mailer
  keyring: Pick<Keyring, 'seal' | 'open'>
  redactor: Pick<Redactor, 'redact'>
  signIn: SignIn
  /** Null when no identity provider is configured. */
  oidc: Oidc | null
  clerkWebhook: ClerkWebhook
  /** Null when Clerk is not configured. */
  clerkSessions: ClerkSessions | null
  deployments: DeploymentCommands
  githubRepositories: GithubRepositories
  github: GithubHost
  /** Null when the operator configured none. */
  environmentApp: EnvironmentApp | null
  webhooks: Webhooks
  events: DeploymentEvents
  logPlaces: InstanceLogPlaces
  instance: InstanceOperations
  /** Derives the routes again and gives them to the traffic process. */
  publishRoutes(): Promise<void>
}
