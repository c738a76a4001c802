import type { GitRepository } from '../_git-repository.ts'
import type { FaultQueue } from './faults.ts'
import type { Account, App, LoggedRequest, Repository, State } from './state.ts'

/** A person who clicks for the tests: pages that would ask decide at once as they would. */
export interface AutomaticPerson {
  login: string
  /** What they say when an App asks for their authorization. */
  decision: 'authorize' | 'deny'
  /** What they choose on the page that installs an App; without it they see the page. */
  install?: {
    account: string
    selection: 'all' | 'selected'
    /** `owner/name` or `name`. */
    repositories?: readonly string[]
  }
}

/** What every part of the stand-in works on. */
export interface Github {
  state: State
  readonly clock: { now(): number }
  readonly faults: FaultQueue
  /** Stands for the website, `http://127.0.0.1:<port>`. */
  readonly webUrl: string
  /** Stands for the API, `<webUrl>/api/v3` as on an enterprise server. */
  readonly apiUrl: string
  /** Holds the bare repositories, named by id. */
  readonly directory: string
  readonly gitBackend: string
  readonly repositories: Map<number, Promise<GitRepository>>
  readonly requests: LoggedRequest[]
  readonly limits: Limits
  /** Deliveries and pushes that are under way. */
  readonly pending: Set<Promise<unknown>>
  /** Ends what waits when the stand-in stops. */
  readonly stopping: AbortController
  /** Each number is given once, also over resets: directories of repositories are named by them. */
  nextId(): number
  automatic: AutomaticPerson | null
}

export interface Limits {
  /** A receiver has so long to answer a delivery. */
  deliveryDeadlineMs: number
  /** Deliveries are listed, and can be sent again, for so long. */
  deliveryRetentionMs: number
  /** Requests in an hour of an installation before it grows, or of a person. */
  requestsPerHour: number
  /** How far an App's clock may be ahead of ours in `iat`. */
  jwtSkewSeconds: number
}

export const DEFAULT_LIMITS: Limits = {
  deliveryDeadlineMs: 10_000,
  deliveryRetentionMs: 3 * 24 * 3_600_000,
  requestsPerHour: 5000,
  jwtSkewSeconds: 60,
}

/** Milliseconds since the epoch, by the clock of the stand-in with its skew. */
export function now(github: Github): number {
  return github.clock.now() + github.faults.clockSkewMs
}

/** GitHub's times have no milliseconds. */
export function toTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Does `work` beside what goes on, and makes `settled()` wait for it. */
export function track(github: Github, work: Promise<unknown>): void {
  const tracked: Promise<unknown> = work.finally(() => github.pending.delete(tracked))
  github.pending.add(tracked)
  tracked.catch(() => {})
}

export function findAccount(github: Github, login: string): Account | null {
  const wanted = login.toLowerCase()
  for (const account of github.state.accounts.values()) {
    if (account.login.toLowerCase() === wanted) return account
  }
  return null
}

/** The entry of an id that the state itself refers to. */
export function entry<Value>(map: ReadonlyMap<number, Value>, id: number): Value {
  const value = map.get(id)
  if (value === undefined) throw new Error(`Cannot find "${id}": the stand-in forgot it`)
  return value
}

/** The account that an App acts as, `<slug>[bot]`: it is in no list, and nobody can sign in as it. */
export function botOf(app: App): Account {
  const login = `${app.slug}[bot]`
  const email = `${app.id}+${login}@users.noreply.github.com`
  return {
    id: app.id,
    type: 'Bot',
    login,
    name: null,
    emails: [{ email, primary: true, verified: true }],
    members: new Map(),
    basePermission: null,
    createdAt: app.createdAt,
  }
}

/** A person, an organization, or an App's bot. */
export function authorOf(github: Github, id: number): Account {
  const app = github.state.apps.get(id)
  return app === undefined ? entry(github.state.accounts, id) : botOf(app)
}

export function ownerOf(github: Github, repository: Repository): Account {
  return entry(github.state.accounts, repository.ownerId)
}

export function fullName(github: Github, repository: Repository): string {
  return `${ownerOf(github, repository).login}/${repository.name}`
}

/** By its present name. */
export function findRepository(github: Github, name: string): Repository | null {
  const wanted = name.toLowerCase()
  for (const repository of github.state.repositories.values()) {
    if (fullName(github, repository).toLowerCase() === wanted) return repository
  }
  return null
}
