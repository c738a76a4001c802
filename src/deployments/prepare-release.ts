import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { lockReadyRelease } from './clean-releases.ts'
import { buildsAlike, environmentOf, readSnapshot } from './configuration-snapshot.ts'
import { enter, type Run } from './deployment-run.ts'
import type { EngineDeps } from './engine-deps.ts'
import type { ReleaseRow } from './instances.ts'

/**
 * The release that the deployment starts: one that exists, when what it repeats or restarts has one, or when the same
 * was built before; else a new one.
 */
export async function prepareRelease(deps: EngineDeps, run: Run): Promise<ReleaseRow> {
  const release =
    (await findRepeatedRelease(deps, run)) ??
    (await findRestartedRelease(deps, run)) ??
    (await makeRelease(deps, run))
  if (await holdRelease(deps, run, release.id)) return release
  throw new OperationError(
    'deployment.release_gone',
    'Cannot use the release that exists: it was removed at this moment',
  )
}

/** Makes it the deployment's, unless the sweep has just taken it; from then on the sweep leaves it. */
async function holdRelease(deps: EngineDeps, run: Run, releaseId: string): Promise<boolean> {
  return await inTransaction(deps.db, async (tx) => {
    if (!(await lockReadyRelease(tx, releaseId))) return false
    await tx
      .updateTable('deployments')
      .set({ release_id: releaseId })
      .where('id', '=', run.deployment.id)
      .where('lease_token', '=', run.deployment.lease_token)
      .execute()
    return true
  })
}

async function findRepeatedRelease(deps: EngineDeps, run: Run): Promise<ReleaseRow | null> {
  const { repeats_deployment_id, rebuild } = run.deployment
  if (repeats_deployment_id === null || rebuild) return null
  const release = await readReadyRelease(deps, repeats_deployment_id)
  if (release !== null) run.log.note('The release of then exists: it is not built again')
  return release
}

/** A restart needs nothing from the Git host, unless a build would now come out differently. */
async function findRestartedRelease(deps: EngineDeps, run: Run): Promise<ReleaseRow | null> {
  const live = run.project.live_deployment_id
  if (run.deployment.cause !== 'configuration' || live === null) return null
  const before = await readSnapshot(deps, live)
  if (before === null || !buildsAlike(before, run.configuration)) return null
  const release = await readReadyRelease(deps, live)
  if (release !== null) run.log.note('Only the configuration of the running app changed: no build')
  return release
}

async function readReadyRelease(
  deps: EngineDeps,
  deploymentId: string,
): Promise<ReleaseRow | null> {
  const row = await deps.db
    .selectFrom('deployments')
    .innerJoin('releases', 'releases.id', 'deployments.release_id')
    .selectAll('releases')
    .where('deployments.id', '=', deploymentId)
    .where('releases.state', '=', 'ready')
    .where('releases.host_id', '=', deps.hostId)
    .executeTakeFirst()
  return row ?? null
}

async function makeRelease(deps: EngineDeps, run: Run): Promise<ReleaseRow> {
  const { deployment, source, configuration, signal } = run
  run.log.note(`Fetching ${deployment.commit_sha} of ${source.repoUrl}`)
  const sha = deployment.commit_sha
  const commit = await deps.sources.fetchCommit(source, sha, deployment.branch, signal)
  await deps.db
    .updateTable('deployments')
    .set({
      commit_message: commit.message,
      commit_author: commit.authorName,
      committed_at: commit.committedAt,
    })
    .where('id', '=', deployment.id)
    .execute()
  const plan = await deps.builds.plan(source, sha, configuration.settings, signal)
  for (const sentence of plan.explanation) run.log.note(sentence)
  const env = environmentOf(configuration, 'build')
  const fingerprint = deps.builds.fingerprint(plan, commit.treeId, env)
  const existing = deployment.rebuild ? null : await findRelease(deps, run, fingerprint)
  if (existing !== null) {
    run.log.note('The same was built before: that release is used')
    return existing
  }
  await enter(deps, run, 'building')
  const release = await insertRelease(deps, run, {
    fingerprint,
    commit_sha: sha,
    tree_id: commit.treeId,
    plan,
  })
  const { bytes } = await deps.builds.build(
    {
      deploymentId: deployment.id,
      releaseId: release.id,
      source,
      sha,
      plan,
      env,
      accountSlot: run.project.account_slot,
      log: run.log,
    },
    signal,
  )
  return await markReady(deps, release.id, bytes)
}

async function findRelease(
  deps: EngineDeps,
  run: Run,
  fingerprint: string,
): Promise<ReleaseRow | null> {
  const row = await deps.db
    .selectFrom('releases')
    .selectAll()
    .where('project_id', '=', run.project.id)
    .where('fingerprint', '=', fingerprint)
    .where('state', '=', 'ready')
    .where('host_id', '=', deps.hostId)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ?? null
}

/** Recorded before it is built: what a crash leaves on disk is found, and removed by the sweep. */
async function insertRelease(
  deps: EngineDeps,
  run: Run,
  made: Pick<ReleaseRow, 'fingerprint' | 'commit_sha' | 'tree_id' | 'plan'>,
): Promise<ReleaseRow> {
  return await deps.db
    .insertInto('releases')
    .values({
      ...made,
      id: deps.newId(),
      organization_id: run.project.organization_id,
      project_id: run.project.id,
      state: 'building',
      host_id: deps.hostId,
      created_at: toIsoTime(deps.clock.now()),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function markReady(deps: EngineDeps, id: string, bytes: number): Promise<ReleaseRow> {
  return await deps.db
    .updateTable('releases')
    .set({ state: 'ready', size_bytes: bytes, ready_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}
