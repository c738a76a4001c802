import type { Selectable } from 'kysely'

import { inTransaction } from '../database/in-transaction.ts'
import type { Schema } from '../database/schema.ts'
import type { RepositoryPlace } from '../githosts/github-host.ts'
import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { openHookSecret } from './app-hooks.ts'
import { loadGithubApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { mayKeepHooks, prepareRepositoryHook, shareHook, toHostId } from './repository-hooks.ts'

type Deps = IntegrationDeps & { log: Logger }
type HookRow = Selectable<Schema['hooks']>

/** Of a hook that could not be made, corrected or removed. */
const RETRY_MS = 5 * 60 * 1000
/** Somebody may have changed it at GitHub. */
const HEALTH_MS = 6 * 60 * 60 * 1000
/** What cannot be removed for so long is left to the repository's owner. */
const GIVE_UP_MS = 7 * 24 * 60 * 60 * 1000
const HOOKS_PER_SWEEP = 50

/** Keeps the webhooks of repositories as the rows say. Failures are stored and tried again; projects do not feel them. */
export interface HookKeeper {
  /** Makes, corrects or removes one at GitHub. */
  keep(hookId: string, signal: AbortSignal): Promise<void>
  job: RecurringJob
}

export function createHookKeeper(deps: Deps): HookKeeper {
  // One at a time for each hook: removing and making again must not overtake one another.
  const turns = new Map<string, Promise<void>>()
  const keep = async (hookId: string, signal: AbortSignal) => {
    const before = turns.get(hookId) ?? Promise.resolve()
    const turn = before.then(() => keepHook(deps, hookId, signal))
    const settled = turn.catch(() => {})
    turns.set(hookId, settled)
    try {
      await turn
    } finally {
      if (turns.get(hookId) === settled) turns.delete(hookId)
    }
  }
  return {
    keep,
    job: {
      name: 'keep-hooks',
      everySeconds: 30,
      leaseSeconds: 600,
      run: async (signal) => {
        await attachMissing(deps)
        for (const id of await readDue(deps)) {
          signal.throwIfAborted()
          await keep(id, signal)
        }
      },
    },
  }
}

async function keepHook(deps: Deps, hookId: string, signal: AbortSignal): Promise<void> {
  const hook = await deps.db
    .selectFrom('hooks')
    .selectAll()
    .where('id', '=', hookId)
    .where('kind', '=', 'repository')
    .where('state', '<>', 'removed')
    .executeTakeFirst()
  if (hook === undefined) return
  try {
    await (hook.state === 'removing' ? remove(deps, hook, signal) : make(deps, hook, signal))
  } catch (error) {
    signal.throwIfAborted()
    if (!isOperationError(error)) throw error
    deps.log.warn('Cannot keep a webhook at GitHub', { hookId, reason: error.message })
    const state = hook.state === 'removing' ? 'removing' : 'failed'
    await store(deps, hook, { state, error_message: messageOf(error) })
  }
}

async function make(deps: Deps, hook: HookRow, signal: AbortSignal): Promise<void> {
  const place = await findPlace(deps, hook)
  if (place === null) return await store(deps, hook, { error_message: null })
  const app = await loadGithubApp(deps, hook.integration_id ?? '')
  const url = `${deps.config.publicBaseUrl}/hooks/${hook.public_id}`
  const knownId = hook.host_hook_id === null ? null : Number(hook.host_hook_id)
  const wanted = { url, secret: openHookSecret(deps, hook), knownId }
  const { id } = await deps.github.ensureRepositoryHook(app, place, wanted, signal)
  const made = { host_hook_id: String(id), error_message: null }
  await store(deps, hook, { ...made, state: 'active' })
  await deps.db
    .updateTable('project_github_links')
    .set({ webhook_id: id, updated_at: toIsoTime(deps.clock.now()) })
    .where('hook_id', '=', hook.id)
    .where((of) => of.or([of('webhook_id', 'is', null), of('webhook_id', '<>', id)]))
    .execute()
}

async function remove(deps: Deps, hook: HookRow, signal: AbortSignal): Promise<void> {
  const gone = { state: 'removed', host_hook_id: null } as const
  if (hook.host_hook_id === null) return await store(deps, hook, { ...gone, error_message: null })
  const place = await findPlace(deps, hook)
  if (place === null) return await store(deps, hook, { ...gone, error_message: null })
  const app = await loadGithubApp(deps, hook.integration_id ?? '')
  try {
    await deps.github.removeRepositoryHook(app, place, Number(hook.host_hook_id), signal)
  } catch (error) {
    const isOut =
      isOperationError(error, 'github.gone') || isOperationError(error, 'github.not_found')
    const isOld = deps.clock.now() - Date.parse(hook.updated_at) > GIVE_UP_MS
    if (!isOperationError(error) || (!isOut && !isOld)) throw error
    // We have no way in any more: whatever it still sends is refused by its address.
    return await store(deps, hook, { ...gone, error_message: error.message })
  }
  await store(deps, hook, { ...gone, error_message: null })
}

/** Where a hook's repository is reached: by what its projects say, else by what the inventory knows. */
async function findPlace({ db }: Deps, hook: HookRow): Promise<RepositoryPlace | null> {
  const repoId = hook.repository_id
  if (repoId === null || hook.integration_id === null) return null
  const link = await db
    .selectFrom('project_github_links')
    .select('installation_id')
    .where('hook_id', '=', hook.id)
    .executeTakeFirst()
  const place =
    link ??
    (await db
      .selectFrom('github_repositories')
      .select('installation_id')
      .where('integration_id', '=', hook.integration_id)
      .where('repo_id', '=', repoId)
      .orderBy('last_synced_at', 'desc')
      .limit(1)
      .executeTakeFirst())
  return place === undefined ? null : { installationId: place.installation_id, repoId }
}

/** Unless the row changed meanwhile: what it says then is done next. */
async function store(
  { db, clock }: Deps,
  hook: HookRow,
  change: Partial<Pick<HookRow, 'state' | 'host_hook_id' | 'error_message'>>,
): Promise<void> {
  const { host_hook_id, ...rest } = change
  const swept_at = toIsoTime(clock.now())
  // What exists at GitHub is known whatever happened to the row.
  if (host_hook_id !== undefined) {
    await db.updateTable('hooks').set({ host_hook_id }).where('id', '=', hook.id).execute()
  }
  await db
    .updateTable('hooks')
    .set({ ...rest, swept_at })
    .where('id', '=', hook.id)
    .where('state', '=', hook.state)
    .execute()
}

async function readDue({ db, clock }: Deps): Promise<string[]> {
  const now = clock.now()
  const rows = await db
    .selectFrom('hooks')
    .innerJoin('integrations as app', 'app.id', 'hooks.integration_id')
    .select('hooks.id')
    .where('app.status', '=', 'active')
    .where('hooks.kind', '=', 'repository')
    .where((of) =>
      of.or([
        of.and([
          of('hooks.state', 'in', ['pending', 'failed', 'removing']),
          of.or([
            of('hooks.swept_at', 'is', null),
            of('hooks.swept_at', '<=', toIsoTime(now - RETRY_MS)),
          ]),
        ]),
        of.and([
          of('hooks.state', '=', 'active'),
          of('hooks.swept_at', '<=', toIsoTime(now - HEALTH_MS)),
        ]),
      ]),
    )
    .orderBy('hooks.swept_at')
    .limit(HOOKS_PER_SWEEP)
    .execute()
  return rows.map(({ id }) => id)
}

/** The permission may have been granted after the project was made. */
async function attachMissing(deps: Deps): Promise<void> {
  const links = await deps.db
    .selectFrom('project_github_links as link')
    .innerJoin('github_installations as installation', (join) =>
      join
        .onRef('installation.integration_id', '=', 'link.integration_id')
        .onRef('installation.installation_id', '=', 'link.installation_id'),
    )
    .select([
      'link.id',
      'link.organization_id',
      'link.integration_id',
      'link.repo_id',
      'installation.permissions',
    ])
    .where('link.hook_id', 'is', null)
    .where('link.active', '=', true)
    .where('installation.suspended_at', 'is', null)
    .where('installation.removed_at', 'is', null)
    .where('installation.permissions', 'like', '%repository_hooks%' as never)
    .limit(HOOKS_PER_SWEEP)
    .execute()
  for (const link of links.filter(({ permissions }) => mayKeepHooks(permissions))) {
    const place = {
      organizationId: link.organization_id,
      integrationId: link.integration_id,
      repoId: link.repo_id,
    }
    const prepared = prepareRepositoryHook(deps, place)
    await inTransaction(deps.db, async (tx) => {
      const hook = await shareHook(tx, place, prepared)
      await tx
        .updateTable('project_github_links')
        .set({ hook_id: hook.id, webhook_id: toHostId(hook.host_hook_id) })
        .where('id', '=', link.id)
        .execute()
    })
  }
}
