import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import { createFakeWorld, eventually, insertProject } from '../../test/_deployments.ts'
import { systemClock } from '../lib/clock.ts'
import { startDeploymentEngine } from './deployment-engine.ts'
import { readDeployment, readDeploymentLog } from './deployment-records.ts'
import { reconcileBranch } from './reconcile-branch.ts'

const signal = new AbortController().signal

describeOnBothEngines('startDeploymentEngine()', (open) => {
  it('takes a push through every state to live, once', async () => {
    await using s = await openDeploymentScene(open)
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
    await using s = await openDeploymentScene(open, { config: { healthTimeoutSeconds: 1 } })
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
    await using s = await openDeploymentScene(open)
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
    await using s = await openDeploymentScene(open)
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

  it('has stored the last line of the log when a deployment ends', async () => {
    await using s = await openDeploymentScene(open)
    const lastLine = async (id: string) =>
      (await readDeploymentLog(s.db, id, 0, 100)).at(-1)?.text.trimEnd().split('\n').at(-1)
    await s.push('a')
    const first = await s.reaches(1, 'live')
    assert.equal(await lastLine(first.id), 'Deployment #1 has the traffic')
    s.world.behaviour.set('b', { exitAtStart: 3 })
    await s.push('b')
    const second = await s.reaches(2, 'failed')
    assert.match((await lastLine(second.id)) ?? '', /^Failed: /)
  })

  it('completes a switch that was stored, whatever fails after it', async () => {
    await using database = await open()
    let ahead = 0
    const clock = { ...systemClock, now: () => Date.now() + ahead }
    await using world = createFakeWorld(database.db, { clock })
    const { db } = database
    const project = await insertProject(db, { next_poll_at: '2999' })
    const failing = Promise.withResolvers<void>()
    let failures = 0
    const faultPoint = (state: string) => {
      if (state !== 'switching' || failures++ > 0) return
      failing.resolve()
      throw new Error('The database is away')
    }
    world.head.sha = 'a'
    await using engine = startDeploymentEngine({ ...world.deps, faultPoint })
    await reconcileBranch(world.deps, project.id, { kind: 'timer' }, signal)
    engine.wake()
    await failing.promise
    await eventually('a deployment that ended', async () => {
      // Past its lease, and past the next look at what was abandoned.
      ahead += 60_000
      engine.wake()
      return await db
        .selectFrom('deployments')
        .selectAll()
        .where('ended_at', 'is not', null)
        .executeTakeFirst()
    })
    const all = await db.selectFrom('deployments').select(['number', 'state']).execute()
    assert.deepEqual(all, [{ number: 1, state: 'live' }])
    assert.equal(world.running().length, 1)
  })

  it('boots when the spawner is back, and not never', async () => {
    await using s = await openDeploymentScene(open)
    let calls = 0
    const endBuilds = () =>
      ++calls === 1 ? Promise.reject(new Error('The spawner is away')) : Promise.resolve()
    const deps = { ...s.world.deps, hostId: 'host-2', endBuilds }
    await using engine = startDeploymentEngine(deps)
    await engine.booted
    assert.equal(calls, 2)
  })

  it('retires the old version when its standby is over', async () => {
    await using s = await openDeploymentScene(open, { config: { standbySeconds: 0 } })
    await s.push('a')
    await s.reaches(1, 'live')
    await s.push('b')
    await s.reaches(2, 'live')
    await eventually('one running app', () => Promise.resolve(s.world.running().length === 1))
    await eventually('a stopped instance', async () =>
      s.db.selectFrom('instances').selectAll().where('state', '=', 'stopped').executeTakeFirst(),
    )
  })

  it('D-16 refuses to deploy when a sealed value cannot be opened', async () => {
    await using s = await openDeploymentScene(open)
    await s.setVariable('TOKEN', 'something')
    await s.db.updateTable('environment_variables').set({ value_sealed: 'v1.k1.broken' }).execute()
    await s.push('a')
    const failed = await s.reaches(1, 'failed')
    assert.match(failed.failure_code ?? '', /^secrets\./)
    assert.equal(s.world.starts.length, 0)
  })

  it('fails with the release command, and does not start the new version', async () => {
    await using s = await openDeploymentScene(open)
    s.world.plan = { release: ['node', 'migrate.js'] }
    s.world.behaviour.set('a', { releaseExit: 2 })
    await s.push('a')
    const failed = await s.reaches(1, 'failed')
    assert.equal(failed.failure_code, 'deployment.release_command_failed')
    // A recovery would go on from a record of its end.
    assert.equal(failed.release_command_finished_at, null)
    assert.equal(s.world.starts.length, 0)
  })

  it('D-19 tries an attempt again that we interrupted, and only three times', async () => {
    await using s = await openDeploymentScene(open)
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
    await using s = await openDeploymentScene(open)
    s.world.plan = { kind: 'static', start: null }
    await s.push('a')
    await s.reaches(1, 'live')
    assert.equal(s.world.starts.length, 0)
  })
})
