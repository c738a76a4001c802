import assert from 'node:assert/strict'
import { it } from 'node:test'

import { sql } from 'kysely'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import {
  createFakeWorld,
  createTestClock,
  eventually,
  insertProject,
} from '../../test/_deployments.ts'
import { SYSTEM } from '../audit/actor.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { claimDueDeployments } from './claim-deployment.ts'
import { requestCancel, requestConfigurationRestart, requestRollback } from './project-requests.ts'
import { reconcileBranch } from './reconcile-branch.ts'
import { requestDeployment } from './request-deployment.ts'

const signal = new AbortController().signal

describeOnBothEngines('what a person asks of the queue', (open) => {
  it('D-14 restarts for a changed variable without a build or a release command', async () => {
    await using s = await openDeploymentScene(open)
    s.world.plan = { release: ['node', 'migrate.js'] }
    await s.setVariable('GREETING', 'hello')
    await s.push('a')
    await s.reaches(1, 'live')
    await s.setVariable('GREETING', 'goodbye')
    await s.request('restart')
    const restarted = await s.reaches(2, 'live')
    assert.equal(restarted.cause, 'configuration')
    assert.equal(restarted.commit_sha, 'a')
    assert.equal(s.world.builds.length, 1)
    assert.equal(s.world.releaseCommands.length, 1)
    assert.deepEqual(
      s.world.starts.map((spec) => spec.env['GREETING']),
      ['hello', 'goodbye'],
    )
  })

  it('builds for a changed build variable, and never the same twice unless asked to', async () => {
    await using s = await openDeploymentScene(open)
    await s.push('a')
    await s.reaches(1, 'live')
    await s.request('redeploy')
    await s.reaches(2, 'live')
    assert.equal(s.world.builds.length, 1)
    await s.request('rebuild')
    await s.reaches(3, 'live')
    assert.equal(s.world.builds.length, 2)
    await s.setVariable('FLAG', 'on', 'build')
    await s.request('restart')
    await s.reaches(4, 'live')
    assert.deepEqual(s.world.builds.at(-1)?.env, { FLAG: 'on' })
  })

  it('rolls back at once, also right after a deployment', async () => {
    await using s = await openDeploymentScene(open)
    await s.push('a')
    const first = await s.reaches(1, 'live')
    const { deps } = s.world
    const asked = {
      organizationId: 'org-default',
      projectId: s.project.id,
      deploymentId: first.id,
      by: SYSTEM,
    }
    const row = await inTransaction(deps.db, async (tx) => {
      const { deploymentId } = await requestRollback(deps, tx, asked)
      const found = tx.selectFrom('deployments').selectAll().where('id', '=', deploymentId)
      return await found.executeTakeFirstOrThrow()
    })
    assert.ok(row.not_before <= row.created_at)
  })

  it('D-15 D-19 rolls back to release and configuration of then, until the next push', async () => {
    await using s = await openDeploymentScene(open)
    await s.setVariable('GREETING', 'of-version-one')
    await s.push('a')
    const first = await s.reaches(1, 'live')
    await s.setVariable('GREETING', 'of-version-two')
    await s.push('b')
    await s.reaches(2, 'live')
    await s.request('rollback', first.id)
    const back = await s.reaches(3, 'live')
    assert.equal(back.commit_sha, 'a')
    assert.equal(back.release_id, first.release_id)
    assert.equal(s.world.starts.at(-1)?.env['GREETING'], 'of-version-one')
    const look = await reconcileBranch(s.world.deps, s.project.id, { kind: 'timer' }, signal)
    assert.equal(look.kind, 'unchanged')
    assert.equal(await s.live(), 3)
    await s.push('c')
    const next = await s.reaches(4, 'live')
    assert.equal(next.commit_sha, 'c')
    assert.equal(s.world.starts.at(-1)?.env['GREETING'], 'of-version-two')
  })

  it('cancels what a newer head replaces, and ends it as superseded by that', async () => {
    await using s = await openDeploymentScene(open)
    const built = Promise.withResolvers<void>()
    s.world.holdBuild = () => built.promise
    await s.push('a')
    await s.reaches(1, 'building')
    s.world.holdBuild = null
    await s.push('b')
    const replaced = await s.reaches(1, 'superseded')
    const live = await s.reaches(2, 'live')
    assert.equal(replaced.superseded_by_id, live.id)
    assert.equal(live.cancelled_in_a_row, 1)
    assert.deepEqual((await s.statesOf(replaced.id))?.slice(-2), ['cancelling', 'superseded'])
  })

  it('cancels for a person, during a release command when that is over', async () => {
    await using s = await openDeploymentScene(open)
    s.world.plan = { release: ['node', 'migrate.js'] }
    const migrated = Promise.withResolvers<void>()
    s.world.onReleaseCommand = () => migrated.promise
    await s.push('a')
    const { id } = await s.reaches(1, 'releasing')
    const request = { organizationId: 'org-default', deploymentId: id, by: SYSTEM }
    const outcome = await inTransaction(s.db, (tx) => requestCancel(s.world.deps, tx, request))
    assert.deepEqual(outcome, { kind: 'cancelling' })
    assert.equal((await s.state(1))?.state, 'releasing')
    migrated.resolve()
    await s.reaches(1, 'cancelled')
    assert.equal(s.world.starts.length, 0)
    const late = await inTransaction(s.db, (tx) => requestCancel(s.world.deps, tx, request))
    assert.deepEqual(late, { kind: 'too_late', state: 'cancelled' })
  })

  it('never supersedes a push by a restart that was asked for at the same moment', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    const { db } = database
    const project = await insertProject(db)
    world.head.sha = 'a'
    await reconcileBranch(world.deps, project.id, { kind: 'timer' }, signal)
    const state = 'live'
    const live = await db
      .updateTable('deployments')
      .set({ state })
      .returning('id')
      .executeTakeFirstOrThrow()
    await db.updateTable('projects').set({ live_deployment_id: live.id }).execute()
    const stored = Promise.withResolvers<void>()
    const commit = { sha: 'b', message: null, author: null, committedAt: null }
    const push = inTransaction(db, async (tx) => {
      const request = { projectId: project.id, cause: 'push' as const, commit }
      const requested = await requestDeployment(world.deps, tx, request)
      // On SQLite the restart waits for this transaction's end anyway.
      if (database.engine === 'postgres') await stored.promise
      return requested
    })
    const restart = inTransaction(db, (tx) =>
      requestConfigurationRestart(world.deps, tx, project.id),
    )
    if (database.engine === 'postgres') {
      await eventually('a transaction that waits', async () => {
        const { rows } = await sql`select 1 from pg_stat_activity
          where wait_event_type = 'Lock' and datname = current_database()`.execute(db)
        return rows.length > 0
      })
    }
    stored.resolve()
    assert.equal((await restart)?.id, (await push).deploymentId)
    const pending = await db
      .selectFrom('deployments')
      .select('commit_sha')
      .where('state', '=', 'queued')
      .execute()
    assert.deepEqual(pending, [{ commit_sha: 'b' }])
  })

  it('tries a rollback again as a rollback, without its release command', async () => {
    await using s = await openDeploymentScene(open)
    s.world.plan = { release: ['node', 'migrate.js'] }
    for (const [index, sha] of ['a', 'b'].entries()) {
      await s.push(sha)
      await s.reaches(index + 1, 'live')
    }
    const runtime = s.world.deps.runtimes.get('process')
    assert.ok(runtime)
    const start = runtime.start.bind(runtime)
    runtime.start = () => {
      runtime.start = start
      return Promise.reject(new Error('The spawner is away'))
    }
    await s.request('rollback')
    await s.reaches(3, 'interrupted')
    const not_before = new Date().toISOString()
    await s.db.updateTable('deployments').set({ not_before }).where('number', '=', 4).execute()
    s.engine.wake()
    const again = await s.reaches(4, 'live')
    assert.deepEqual([again.cause, again.commit_sha], ['rollback', 'a'])
    assert.equal(s.world.releaseCommands.length, 2)
  })

  it('starts a rollback while a hundred builds wait for their turn', async () => {
    await using database = await open()
    const config = { concurrentBuilds: 0 }
    await using world = createFakeWorld(database.db, { clock: createTestClock(), config })
    const commit = { sha: 'a', message: null, author: null, committedAt: null }
    const request = async (cause: 'push' | 'rollback') => {
      const project = await insertProject(database.db)
      return await inTransaction(database.db, (tx) =>
        requestDeployment(world.deps, tx, { projectId: project.id, cause, commit }),
      )
    }
    for (let count = 0; count < 100; count++) await request('push')
    const rollback = await request('rollback')
    const outcomes = await claimDueDeployments(world.deps)
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind === 'started' && outcome.deployment.id),
      [rollback.deploymentId],
    )
  })

  it('deploys nothing of a project that was deleted meanwhile', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    const project = await insertProject(database.db, { deleted_at: '2026-03-01T00:00:00.000Z' })
    const commit = { sha: 'a', message: null, author: null, committedAt: null }
    const requested = inTransaction(database.db, (tx) =>
      requestDeployment(world.deps, tx, { projectId: project.id, cause: 'push', commit }),
    )
    await assert.rejects(requested, { code: 'project.not_found' })
  })
})
