import type { ExpressionBuilder } from 'kysely'

import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Schema } from '../database/schema.ts'
import { messageOf } from '../lib/errors.ts'
import { ACTIVE_STATES } from './deployment-state.ts'
import type { EngineDeps } from './engine-deps.ts'

/** Releases that each project keeps to go back to, besides those in use. */
const KEPT = 5

/**
 * Removes releases that nothing needs: all but the newest five of each project, those that are live, stand by or are
 * being deployed, and what ended builds left unfinished.
 */
export async function cleanReleases(
  deps: Pick<EngineDeps, 'db' | 'spawner' | 'hostId' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  const releases = await deps.db
    .selectFrom('releases')
    .select(['id', 'project_id', 'state'])
    .where('host_id', '=', deps.hostId)
    .where('state', 'in', ['ready', 'building'])
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
  const inUse = await readInUse(deps)
  for (const [projectId, own] of Map.groupBy(releases, (release) => release.project_id)) {
    const ready = own.filter((release) => release.state === 'ready')
    const keep = new Set([...ready.slice(0, KEPT).map((release) => release.id), ...inUse.releases])
    for (const { id, state } of own) {
      signal.throwIfAborted()
      if (keep.has(id) || (state === 'building' && inUse.projects.has(projectId))) continue
      await removeRelease(deps, id).catch((error: unknown) => {
        deps.log.warn('A release was not removed', { releaseId: id, reason: messageOf(error) })
      })
    }
  }
}

async function readInUse(deps: Pick<EngineDeps, 'db'>) {
  const live = await deps.db
    .selectFrom('projects')
    .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .select(['deployments.release_id', 'deployments.replaced_deployment_id'])
    .execute()
  const unended = await deps.db
    .selectFrom('deployments')
    .select(['id', 'project_id', 'release_id', 'repeats_deployment_id'])
    .where('state', 'in', ['queued', ...ACTIVE_STATES])
    .execute()
  const named = [
    ...live.map((row) => row.replaced_deployment_id),
    ...unended.map((row) => row.repeats_deployment_id),
  ]
  const others = await readReleasesOf(deps, named)
  const instances = await deps.db
    .selectFrom('instances')
    .select('release_id')
    .where('state', 'in', ['starting', 'running', 'draining'])
    .execute()
  const releases = [...live, ...unended, ...others, ...instances].map((row) => row.release_id)
  return {
    releases: releases.filter((id) => id !== null),
    projects: new Set(unended.map((row) => row.project_id)),
  }
}

async function readReleasesOf(deps: Pick<EngineDeps, 'db'>, ids: readonly (string | null)[]) {
  const given = ids.filter((id) => id !== null)
  if (given.length === 0) return []
  return await deps.db
    .selectFrom('deployments')
    .select('release_id')
    .where('id', 'in', given)
    .execute()
}

/** Keeps every other use and removal of the release behind this transaction. False when it is not ready. */
export async function lockReadyRelease(tx: Tx, releaseId: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('releases')
    .set({ state: 'ready' })
    .where('id', '=', releaseId)
    .where('state', '=', 'ready')
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/**
 * The record first: from then on no deployment picks it, and a removal that fails is repeated by the next sweep. Asked
 * again whether it is used: a sweep may take minutes, in which a rollback takes an old release live.
 */
async function removeRelease(deps: Pick<EngineDeps, 'db' | 'spawner'>, id: string): Promise<void> {
  const taken = await inTransaction(deps.db, async (tx) => {
    await lockReadyRelease(tx, id)
    return await tx
      .updateTable('releases')
      .set({ state: 'building' })
      .where('id', '=', id)
      .where((eb) => eb.not(eb.exists(usersOf(eb))))
      .where((eb) => eb.not(eb.exists(instancesOf(eb))))
      .executeTakeFirst()
  })
  if (taken.numUpdatedRows === 0n) return
  await deps.spawner.remove({ area: 'releases', id })
  await deps.db.updateTable('releases').set({ state: 'removed' }).where('id', '=', id).execute()
}

type OfRelease = ExpressionBuilder<Schema, 'releases'>

function usersOf(eb: OfRelease) {
  return eb
    .selectFrom('deployments')
    .leftJoin('projects', 'projects.live_deployment_id', 'deployments.id')
    .select('deployments.id')
    .whereRef('deployments.release_id', '=', 'releases.id')
    .where((of) =>
      of.or([
        of('deployments.state', 'in', ['queued', ...ACTIVE_STATES]),
        of('projects.id', 'is not', null),
      ]),
    )
}

function instancesOf(eb: OfRelease) {
  return eb
    .selectFrom('instances')
    .select('instances.id')
    .whereRef('instances.release_id', '=', 'releases.id')
    .where('instances.state', 'in', ['starting', 'running', 'draining'])
}
