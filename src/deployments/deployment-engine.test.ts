import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import {
  createFakeWorld,
  eventually,
  insertProject,
  type FakeWorld,
} from '../../test/_deployments.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { newId } from '../lib/ids.ts'
import { startDeploymentEngine, type DeploymentEngine } from './deployment-engine.ts'
import { readDeployment, readDeploymentLog } from './deployment-records.ts'
import {
  requestCancel,
  requestConfigurationRestart,
  requestRedeploy,
  requestRollback,
} from './project-requests.ts'
import { reconcileBranch } from './reconcile-branch.ts'

const signal = new AbortController().signal

/** What the tests ask for again and again. */
function actionsOf(world: FakeWorld, engine: DeploymentEngine, projectId: string) {
  const { db } = world.deps
  const organizationId = 'org-default'
  const state = async (number: number) => {
    const row = await db
      .selectFrom('deployments')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('number', '=', number)
      .executeTakeFirst()
    return row
  }
  const reaches = (number: number, wanted: string) =>
    eventually(`deployment #${number} ${wanted}`, async () => {
      const row = await state(number)
      return row?.state === wanted && row
    })
  return {
    state,
    reaches,
    push: async (sha: string) => {
      world.head.sha = sha
      await reconcileBranch(
        world.deps,
        projectId,
        { kind: 'push', before: null, after: sha },
        signal,
      )
      // The debounce is tested with simulated time; here each push counts at once.
      const not_before = new Date().toISOString()
      await db
        .updateTable('deployments')
        .set({ not_before })
        .where('state', '=', 'queued')
        .execute()
      engine.wake()
    },
    request: async (
      kind: 'redeploy' | 'rebuild' | 'rollback' | 'restart',
      deploymentId?: string,
    ) => {
      await inTransaction(db, async (tx) => {
        if (kind === 'restart') await requestConfigurationRestart(world.deps, tx, projectId)
        else if (kind === 'rollback') {
          const request = { organizationId, projectId, deploymentId: deploymentId ?? null }
          await requestRollback(world.deps, tx, request)
        } else {
          const request = { organizationId, projectId, rebuild: kind === 'rebuild' }
          await requestRedeploy(world.deps, tx, request)
        }
        const not_before = new Date().toISOString()
        await tx
          .updateTable('deployments')
          .set({ not_before })
          .where('state', '=', 'queued')
          .execute()
      })
      engine.wake()
    },
    live: async () => {
      const row = await db
        .selectFrom('projects')
        .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
        .select(['deployments.number', 'deployments.commit_sha'])
        .where('projects.id', '=', projectId)
        .executeTakeFirst()
      return row?.number
    },
    statesOf: async (id: string) => {
      const details = await readDeployment(db, { organizationId, id })
      return details?.transitions.map((entry) => entry.state)
    },
    setVariable: async (name: string, value: string, scope: 'run' | 'build' | 'both' = 'run') => {
      const id = newId()
      const now = new Date().toISOString()
      const value_sealed = world.deps.keyring.seal(value, {
        organizationId,
        table: 'environment_variables',
        column: 'value_sealed',
        rowId: id,
      })
      await db
        .deleteFrom('environment_variables')
        .where('project_id', '=', projectId)
        .where('name', '=', name)
        .execute()
      await db
        .insertInto('environment_variables')
        .values({
          id,
          organization_id: organizationId,
          project_id: projectId,
          name,
          value_sealed,
          scope,
          created_at: now,
          updated_at: now,
        })
        .execute()
    },
  }
}

describeOnBothEngines('startDeploymentEngine()', (open) => {
  const scene = async (config: Parameters<typeof createFakeWorld>[1] = {}) => {
    const database = await open()
    const world = createFakeWorld(database.db, config)
    const project = await insertProject(database.db, { next_poll_at: '2999' })
    const engine = startDeploymentEngine(world.deps)
    return {
      world,
      project,
      engine,
      db: database.db,
      ...actionsOf(world, engine, project.id),
      [Symbol.asyncDispose]: async () => {
        await engine[Symbol.asyncDispose]()
        await world[Symbol.asyncDispose]()
        await database[Symbol.asyncDispose]()
      },
    }
  }

  it('takes a push through every state to live, once', async () => {
    await using s = await scene()
    s.world.plan = { release: ['node', 'migrate.js'] }
    await s.push('a')
    const { id } = await s.reaches(1, 'live')
    assert.deepEqual(await s.statesOf(id), [
      'queued',
      'fetching',
      'building',
      'releasing',
      'starting',
      'checking',
      'switching',
      'live',
    ])
    assert.equal(await s.live(), 1)
    assert.deepEqual(s.world.releaseCommands, [id])
    assert.equal(s.world.tables.length >= 1, true)
    const text = (await readDeploymentLog(s.db, id, 0, 100)).map((row) => row.text).join('')
    assert.match(text, /building a\n/)
    const details = await readDeployment(s.db, { organizationId: 'org-default', id })
    assert.equal(details?.decision?.reason, 'first_deployment')
    assert.equal(details?.release?.state, 'ready')
  })

  it('D-11 keeps the old version when the new one is unhealthy, and says why', async () => {
    await using s = await scene({ config: { healthTimeoutSeconds: 1 } })
    await s.push('a')
    await s.reaches(1, 'live')
    s.world.behaviour.set('b', { status: 500 })
    await s.push('b')
    const failed = await s.reaches(2, 'failed')
    assert.equal(failed.failure_code, 'deployment.unhealthy')
    assert.match(failed.failure_message ?? '', /it answered 500.*hello from the app/s)
    s.world.behaviour.set('c', { exitAtStart: 3 })
    await s.push('c')
    const exited = await s.reaches(3, 'failed')
    assert.equal(exited.failure_code, 'deployment.exited_early')
    assert.equal(await s.live(), 1)
    assert.equal(s.world.running().length, 1)
  })

  it('D-11 gives the traffic back when the new version crashes while the old one stands by', async () => {
    await using s = await scene()
    await s.push('a')
    await s.reaches(1, 'live')
    await s.push('b')
    await s.reaches(2, 'live')
    const instance = await s.db
      .selectFrom('instances')
      .selectAll()
      .where('state', '=', 'running')
      .executeTakeFirstOrThrow()
    s.world.crash(instance.id)
    const failed = await s.reaches(2, 'failed')
    assert.equal(failed.failure_code, 'deployment.crashed_after_switch')
    assert.match(failed.failure_message ?? '', /hello from the app/)
    assert.equal(await s.live(), 1)
    const states = await s.db.selectFrom('instances').select('state').orderBy('id').execute()
    assert.deepEqual(
      states.map((row) => row.state),
      ['running', 'crashed'],
    )
  })

  it('starts a crashed app again on a fresh port', async () => {
    await using s = await scene()
    await s.push('a')
    await s.reaches(1, 'live')
    const before = await s.db.selectFrom('instances').selectAll().executeTakeFirstOrThrow()
    s.world.crash(before.id)
    const after = await eventually('a running instance', async () => {
      return await s.db
        .selectFrom('instances')
        .selectAll()
        .where('state', '=', 'running')
        .where('id', '!=', before.id)
        .executeTakeFirst()
    })
    assert.equal(after.restarts, 1)
    assert.notEqual(after.port, before.port)
  })

  it('retires the old version when its standby is over', async () => {
    await using s = await scene({ config: { standbySeconds: 0 } })
    await s.push('a')
    await s.reaches(1, 'live')
    await s.push('b')
    await s.reaches(2, 'live')
    await eventually('one running app', () => Promise.resolve(s.world.running().length === 1))
    await eventually('a stopped instance', async () =>
      s.db.selectFrom('instances').selectAll().where('state', '=', 'stopped').executeTakeFirst(),
    )
  })

  it('D-14 restarts for a changed variable without a build or a release command', async () => {
    await using s = await scene()
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
    await using s = await scene()
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

  it('D-15 D-19 rolls back to release and configuration of then, until the next push', async () => {
    await using s = await scene()
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

  it('D-16 refuses to deploy when a sealed value cannot be opened', async () => {
    await using s = await scene()
    await s.setVariable('TOKEN', 'something')
    await s.db.updateTable('environment_variables').set({ value_sealed: 'v1.k1.broken' }).execute()
    await s.push('a')
    const failed = await s.reaches(1, 'failed')
    assert.match(failed.failure_code ?? '', /^secrets\./)
    assert.equal(s.world.starts.length, 0)
  })

  it('cancels what a newer head replaces, and ends it as superseded by that', async () => {
    await using s = await scene()
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
    await using s = await scene()
    s.world.plan = { release: ['node', 'migrate.js'] }
    const migrated = Promise.withResolvers<void>()
    s.world.onReleaseCommand = () => migrated.promise
    await s.push('a')
    const { id } = await s.reaches(1, 'releasing')
    const request = { organizationId: 'org-default', deploymentId: id }
    const outcome = await inTransaction(s.db, (tx) => requestCancel(s.world.deps, tx, request))
    assert.deepEqual(outcome, { kind: 'cancelling' })
    assert.equal((await s.state(1))?.state, 'releasing')
    migrated.resolve()
    await s.reaches(1, 'cancelled')
    assert.equal(s.world.starts.length, 0)
    const late = await inTransaction(s.db, (tx) => requestCancel(s.world.deps, tx, request))
    assert.deepEqual(late, { kind: 'too_late', state: 'cancelled' })
  })

  it('fails with the release command, and does not start the new version', async () => {
    await using s = await scene()
    s.world.plan = { release: ['node', 'migrate.js'] }
    s.world.behaviour.set('a', { releaseExit: 2 })
    await s.push('a')
    const failed = await s.reaches(1, 'failed')
    assert.equal(failed.failure_code, 'deployment.release_command_failed')
    assert.equal(s.world.starts.length, 0)
  })

  it('D-19 tries an attempt again that we interrupted, and only three times', async () => {
    await using s = await scene()
    s.world.holdBuild = () => Promise.reject(new Error('The disk is away'))
    await s.push('a')
    for (const number of [1, 2, 3]) {
      const row = await s.reaches(number, 'interrupted')
      assert.equal(row.attempt, number)
      const not_before = new Date().toISOString()
      await s.db
        .updateTable('deployments')
        .set({ not_before })
        .where('state', '=', 'queued')
        .execute()
      s.engine.wake()
    }
    assert.equal(await s.state(4), undefined)
  })

  it('serves a static release without an instance', async () => {
    await using s = await scene()
    s.world.plan = { kind: 'static', start: null }
    await s.push('a')
    await s.reaches(1, 'live')
    assert.equal(s.world.starts.length, 0)
  })
})
