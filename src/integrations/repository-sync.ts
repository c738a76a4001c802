import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { loadGithubApp } from './github-apps.ts'
import type { Installation } from './installation-records.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import type { OpenInstallation } from './repositories.ts'
import { syncReach, syncRepositories } from './sync-repositories.ts'
import { readUserLink } from './user-links.ts'
import { userAccessToken } from './user-token.ts'

type Deps = IntegrationDeps & { log: Logger }

/** Who asks waits no longer than this; reading goes on. */
const PATIENCE_MS = 20_000
/** No installation takes longer. */
const LONGEST_MS = 30 * 60 * 1000
const EVERY_MS = 60 * 60 * 1000
const INSTALLATIONS_PER_SWEEP = 20
/** Of the rate limit, the sweep leaves this share to deployments. */
const SPARED_SHARE = 0.25

export type RefreshEnd =
  | { kind: 'done'; repositories: number; removed: number }
  | { kind: 'running' }

/** Reads repositories when somebody asks; what takes long goes on behind the answer. */
export interface RepositorySync extends AsyncDisposable {
  /**
   * Reads what a person reaches, and all of the installation when they may see all. Two who ask at once share one
   * reading. Throws what asking GitHub throws.
   */
  refresh(
    installation: OpenInstallation,
    userId: string | null,
    signal: AbortSignal,
  ): Promise<RefreshEnd>
}

export function createRepositorySync(deps: Deps): RepositorySync {
  const running = new Map<string, Promise<RefreshEnd>>()
  const stopping = new AbortController()
  const begin = (key: string, open: OpenInstallation, userId: string | null) => {
    const longest = AbortSignal.timeout(LONGEST_MS)
    const work = refreshNow(deps, open, userId, AbortSignal.any([stopping.signal, longest]))
    const tracked = work.finally(() => running.delete(key))
    // Who asked may have gone: then nobody else hears of it.
    tracked.catch((error: unknown) => {
      deps.log.warn('Cannot read the repositories of an installation', {
        installationId: open.row.installation_id,
        reason: messageOf(error),
      })
    })
    running.set(key, tracked)
    return tracked
  }
  return {
    refresh: async (open, userId, signal) => {
      const key = JSON.stringify([open.row.id, userId, open.seesAll])
      const work = running.get(key) ?? begin(key, open, userId)
      const { promise: enough, resolve } = Promise.withResolvers<RefreshEnd>()
      const patience = new AbortController()
      const done = AbortSignal.any([signal, patience.signal])
      deps.clock.sleep(PATIENCE_MS, done).then(
        () => resolve({ kind: 'running' }),
        () => resolve({ kind: 'running' }),
      )
      try {
        return await Promise.race([work, enough])
      } finally {
        patience.abort()
      }
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort(new Error('The platform stops'))
      await Promise.allSettled(running.values())
    },
  }
}

async function refreshNow(
  deps: Deps,
  { row, seesAll }: OpenInstallation,
  userId: string | null,
  signal: AbortSignal,
): Promise<RefreshEnd> {
  const app = await loadGithubApp(deps, row.integration_id)
  let reached = 0
  const link = userId === null ? undefined : await readUserLink(deps.db, row.integration_id, userId)
  if (userId !== null && link !== undefined) {
    const token = await userAccessToken(deps, app, userId, signal)
    reached = await syncReach(deps, app, { userId, token, installation: row }, signal)
  }
  if (!seesAll) return { kind: 'done', repositories: reached, removed: 0 }
  const end = await syncRepositories(deps, app, row, signal)
  if (end.kind === 'busy') return { kind: 'running' }
  return { kind: 'done', repositories: end.repositories, removed: end.removed }
}

/** The sweep that reads every installation again each hour, a few at a time. */
export function repositorySyncJob(deps: Deps): RecurringJob {
  return {
    name: 'sync-repositories',
    everySeconds: 60,
    leaseSeconds: 1800,
    run: (signal) => syncDue(deps, signal),
  }
}

async function syncDue(deps: Deps, signal: AbortSignal): Promise<void> {
  for (const installation of await readDue(deps)) {
    signal.throwIfAborted()
    try {
      const app = await loadGithubApp(deps, installation.integration_id)
      const budget = deps.github.remainingBudget(app, installation.installation_id)
      if (budget !== null && budget.remaining < budget.limit * SPARED_SHARE) continue
      await syncRepositories(deps, app, installation, signal)
    } catch (error) {
      if (!isOperationError(error)) throw error
      deps.log.warn('Cannot read the repositories of an installation', {
        installationId: installation.installation_id,
        reason: error.message,
      })
    }
  }
}

async function readDue({ db, clock }: Deps): Promise<Installation[]> {
  const now = clock.now()
  const rows = await db
    .selectFrom('github_installations as installation')
    .innerJoin('integrations as app', 'app.id', 'installation.integration_id')
    .selectAll('installation')
    .where('app.status', '=', 'active')
    .where('installation.removed_at', 'is', null)
    .where('installation.suspended_at', 'is', null)
    .where((of) =>
      of.or([
        of('installation.synced_at', 'is', null),
        of('installation.synced_at', '<=', toIsoTime(now - EVERY_MS)),
      ]),
    )
    .where((of) =>
      of.or([
        of('installation.sync_until', 'is', null),
        of('installation.sync_until', '<=', toIsoTime(now)),
      ]),
    )
    .orderBy('installation.synced_at')
    .limit(INSTALLATIONS_PER_SWEEP * 2)
    .execute()
  return rows.filter((row) => isDue(row, now)).slice(0, INSTALLATIONS_PER_SWEEP)
}

/** Up to a quarter of an hour later, each its own: not all of them ask GitHub at the same moment. */
function isDue({ id, synced_at }: Installation, now: number): boolean {
  if (synced_at === null) return true
  const jitter = (Number.parseInt(id.replaceAll('-', '').slice(-6), 16) || 0) % (EVERY_MS / 4)
  return Date.parse(synced_at) + EVERY_MS + jitter <= now
}
