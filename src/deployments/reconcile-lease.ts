import type { Database } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'

/** A worker that says nothing for this long has lost its turn. */
const RECONCILE_LEASE_MS = 60_000
const RENEW_MS = 20_000

export type ProjectRow = Schema['projects']

/**
 * Takes the project's turn to look at its branch, also against other processes; null when somebody has it. The next
 * poll is set here and not at the end, so that a hint that meets a busy turn can ask for another one.
 */
export async function takeReconcileLease(
  deps: { clock: Clock; newId: NewId; db: Database },
  projectId: string,
): Promise<ProjectRow | null> {
  const now = deps.clock.now()
  const known = await deps.db
    .selectFrom('projects')
    .select(['id', 'poll_interval_seconds'])
    .where('id', '=', projectId)
    .executeTakeFirst()
  if (known === undefined) return null
  const project = await deps.db
    .updateTable('projects')
    .set({
      reconcile_token: deps.newId(),
      reconcile_expires_at: toIsoTime(now + RECONCILE_LEASE_MS),
      next_poll_at: toIsoTime(nextPollAt(known, now)),
    })
    .where('id', '=', projectId)
    .where('deleted_at', 'is', null)
    .where((eb) =>
      eb.or([eb('reconcile_token', 'is', null), eb('reconcile_expires_at', '<', toIsoTime(now))]),
    )
    .returningAll()
    .executeTakeFirst()
  return project ?? null
}

/** Keeps the turn until the signal aborts: a fetch may take minutes. */
export async function keepReconcileLease(
  deps: { clock: Clock; db: Database },
  project: ProjectRow,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await deps.clock.sleep(RENEW_MS, signal).catch(() => {})
    if (signal.aborted) return
    const reconcile_expires_at = toIsoTime(deps.clock.now() + RECONCILE_LEASE_MS)
    await deps.db
      .updateTable('projects')
      .set({ reconcile_expires_at })
      .where('id', '=', project.id)
      .where('reconcile_token', '=', project.reconcile_token)
      .execute()
  }
}

/** The interval, up to a tenth earlier by project, so that thousands do not ask their host in the same second. */
export function nextPollAt(project: Pick<ProjectRow, 'id' | 'poll_interval_seconds'>, now: number) {
  const interval = project.poll_interval_seconds * 1000
  const spread = Number.parseInt(project.id.slice(-4), 16) || 0
  return now + Math.round(interval * (1 - (spread % 100) / 1000))
}

/** Gives the turn back, with what was learned; false when another worker has taken it meanwhile. */
export async function releaseReconcileLease(
  db: Database,
  project: ProjectRow,
  learned: Partial<
    Pick<ProjectRow, 'source_error' | 'source_failing_since' | 'reread_head' | 'reread_at'>
  >,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('projects')
    .set({ ...learned, reconcile_token: null, reconcile_expires_at: null })
    .where('id', '=', project.id)
    .where('reconcile_token', '=', project.reconcile_token)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Moves the next poll, unless a hint asked for one meanwhile. */
export async function postponePoll(db: Database, project: ProjectRow, to: number): Promise<void> {
  await db
    .updateTable('projects')
    .set({ next_poll_at: toIsoTime(to) })
    .where('id', '=', project.id)
    .where('next_poll_at', '=', project.next_poll_at)
    .execute()
}

/** Asks for another look as soon as the one that is going on has ended. */
export async function askForPoll(
  deps: { clock: Clock; db: Database },
  projectId: string,
): Promise<void> {
  await deps.db
    .updateTable('projects')
    .set({ next_poll_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', projectId)
    .execute()
}
