import { inTransaction } from '../database/in-transaction.ts'
import type { GithubApp } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { Installation } from './installation-records.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import {
  forgetUnseenReach,
  removeUnseen,
  saveReach,
  saveRepositories,
} from './repository-records.ts'

type Deps = Pick<IntegrationDeps, 'db' | 'clock' | 'newId' | 'github'>

/** A worker that was ended gives its turn to another after this; each page renews it. */
const TURN_MS = 2 * 60 * 1000
/** The sweep leaves an installation alone for so long after a failure. */
export const RETRY_AFTER_MS = 10 * 60 * 1000

export type SyncEnd =
  | { kind: 'synced'; repositories: number; removed: number }
  /** Somebody else reads this installation at this moment. */
  | { kind: 'busy' }

/**
 * Reads all repositories of an installation as the App, page by page, one transaction each; what disappeared is removed
 * after the last page, so that a reading that breaks off removes nothing. One reading per installation at a time. Throws
 * what asking GitHub throws, which is stored too.
 */
export async function syncRepositories(
  deps: Deps,
  app: GithubApp,
  installation: Installation,
  signal: AbortSignal,
): Promise<SyncEnd> {
  const token = await takeTurn(deps, installation.id)
  if (token === null) return { kind: 'busy' }
  const seenAt = toIsoTime(deps.clock.now())
  let repositories = 0
  try {
    const pages = deps.github.listRepositories(app, installation.installation_id, signal)
    for await (const facts of pages) {
      signal.throwIfAborted()
      await inTransaction(deps.db, (tx) =>
        saveRepositories(tx, deps, { installation, facts, seenAt }),
      )
      repositories += facts.length
      if (!(await keepTurn(deps, installation.id, token))) return { kind: 'busy' }
    }
    const removed = await removeUnseen(deps.db, installation.id, seenAt)
    await endTurn(deps, installation.id, token, { synced_at: seenAt, sync_error: null })
    return { kind: 'synced', repositories, removed }
  } catch (error) {
    const sync_until = toIsoTime(deps.clock.now() + RETRY_AFTER_MS)
    await endTurn(deps, installation.id, token, { sync_error: messageOf(error), sync_until })
    throw error
  }
}

/**
 * Reads what one person reaches behind an installation, with their own permissions: members see and use these alone.
 * Gives how many there are.
 */
export async function syncReach(
  deps: Deps,
  app: GithubApp,
  person: { userId: string; token: Secret; installation: Installation },
  signal: AbortSignal,
): Promise<number> {
  const { userId, token, installation } = person
  const seenAt = toIsoTime(deps.clock.now())
  let repositories = 0
  const number = installation.installation_id
  for await (const facts of deps.github.listUserRepositories(app, token, number, signal)) {
    signal.throwIfAborted()
    await inTransaction(deps.db, (tx) =>
      saveReach(tx, deps, { installation, facts, seenAt, userId }),
    )
    repositories += facts.length
  }
  await forgetUnseenReach(deps.db, { installationRowId: installation.id, userId, seenAt })
  return repositories
}

async function takeTurn({ db, clock, newId }: Deps, rowId: string): Promise<string | null> {
  const token = newId()
  const now = clock.now()
  const { numUpdatedRows } = await db
    .updateTable('github_installations')
    .set({ sync_token: token, sync_until: toIsoTime(now + TURN_MS) })
    .where('id', '=', rowId)
    .where((of) => of.or([of('sync_token', 'is', null), of('sync_until', '<=', toIsoTime(now))]))
    .executeTakeFirst()
  return numUpdatedRows > 0n ? token : null
}

async function keepTurn({ db, clock }: Deps, rowId: string, token: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('github_installations')
    .set({ sync_until: toIsoTime(clock.now() + TURN_MS) })
    .where('id', '=', rowId)
    .where('sync_token', '=', token)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

async function endTurn(
  { db }: Deps,
  rowId: string,
  token: string,
  end: Partial<Pick<Installation, 'synced_at' | 'sync_error' | 'sync_until'>>,
): Promise<void> {
  await db
    .updateTable('github_installations')
    .set({ sync_token: null, sync_until: null, ...end })
    .where('id', '=', rowId)
    .where('sync_token', '=', token)
    .execute()
}
