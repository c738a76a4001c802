import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import { eventually, insertProject, type FakeWorld } from '../../test/_deployments.ts'
import { raceAbort } from '../../test/_fake-runtime.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { startDeploymentEngine } from './deployment-engine.ts'
import { readDeployment, readDeploymentLog } from './deployment-records.ts'

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

  it('starts a crashed app again although the first attempt failed for a reason of ours', async () => {
    await using s = await openDeploymentScene(open)
    await s.push('a')
    await s.reaches(1, 'live')
    const runtime = s.world.deps.runtimes.get('process')
    assert.ok(runtime)
    const start = runtime.start.bind(runtime)
    const failed = Promise.withResolvers<void>()
    runtime.start = () => {
      runtime.start = start
      failed.resolve()
      return Promise.reject(new Error('The spawner is away'))
    }
    const [before] = s.world.running()
    s.world.crash(before ?? '')
    await failed.promise
    // Five seconds later; here at once.
    await eventually('a restart that is due again', async () => {
      const { numUpdatedRows } = await s.db
        .updateTable('instances')
        .set({ next_restart_at: new Date(0).toISOString() })
        .where('next_restart_at', '>', new Date().toISOString())
        .executeTakeFirst()
      return numUpdatedRows > 0n
    })
    s.engine.wake()
    await eventually('a running instance', async () =>
      s.db.selectFrom('instances').selectAll().where('state', '=', 'running').executeTakeFirst(),
    )
    const halves = await s.db
      .selectFrom('instances')
      .select('id')
      .where('state', '=', 'starting')
      .execute()
    assert.deepEqual(halves, [])
  })

  it('starts a crashed app while others never answer', async () => {
    let ahead = 0
    const clock = { ...systemClock, now: () => Date.now() + ahead }
    const config = { healthTimeoutSeconds: 60 }
    await using s = await openDeploymentScene(open, { clock, config })
    await s.push('a')
    await s.reaches(1, 'live')
    const [own] = s.world.running()
    const hanging = hangApps(s.world)
    for (let count = 0; count < 8; count++) hanging.add(await insertCrashedApp(s.world))
    s.engine.wake()
    const startsOf = (ids: ReadonlySet<string>) =>
      s.world.starts.filter(({ projectId }) => ids.has(projectId)).length
    await eventually('apps that are waited for', () => Promise.resolve(startsOf(hanging) === 4))
    s.world.crash(own ?? '')
    ahead = 6000
    const again = await eventually('a running instance', async () =>
      s.db
        .selectFrom('instances')
        .selectAll()
        .where('state', '=', 'running')
        .where('id', '!=', own ?? '')
        .executeTakeFirst(),
    )
    assert.equal(again.project_id, s.project.id)
    assert.equal(startsOf(hanging) <= 8, true)
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

/** Apps of the projects in the answer start, and then say nothing for ever. */
function hangApps(world: FakeWorld): Set<string> {
  const projectIds = new Set<string>()
  const units = new Set<string>()
  const runtime = world.deps.runtimes.get('process')
  assert.ok(runtime)
  const start = runtime.start.bind(runtime)
  const exited = runtime.exited.bind(runtime)
  runtime.start = async (spec) => {
    if (!projectIds.has(spec.projectId)) return await start(spec)
    world.starts.push(spec)
    const unit = `app-${spec.id}`
    units.add(unit)
    return { unit, pid: 1, startTicks: '1', bootId: 'boot' }
  }
  runtime.exited = async (ref, signal) =>
    units.has(ref.unit) ? await raceAbort(new Promise(() => {}), signal) : await exited(ref, signal)
  return projectIds
}

/** A project that is live, and whose app is due for a restart. */
async function insertCrashedApp({ deps }: FakeWorld): Promise<string> {
  const { db, keyring } = deps
  const deployment = await db
    .selectFrom('deployments')
    .selectAll()
    .where('number', '=', 1)
    .orderBy('id')
    .executeTakeFirstOrThrow()
  const project = await insertProject(db, { next_poll_at: '2999' })
  const own = { id: project.id, project_id: project.id }
  const configuration_sealed = keyring.seal(JSON.stringify({ settings: {}, variables: [] }), {
    organizationId: project.organization_id,
    table: 'deployments',
    column: 'configuration_sealed',
    rowId: project.id,
  })
  await db
    .insertInto('deployments')
    .values({ ...deployment, ...own, configuration_sealed })
    .execute()
  await db
    .updateTable('projects')
    .set({ live_deployment_id: project.id })
    .where('id', '=', project.id)
    .execute()
  await db
    .insertInto('instances')
    .values({
      ...own,
      organization_id: project.organization_id,
      deployment_id: project.id,
      release_id: deployment.release_id ?? '',
      host_id: 'host-1',
      state: 'crashed',
      restarts: 0,
      next_restart_at: toIsoTime(0),
      created_at: toIsoTime(0),
    })
    .execute()
  return project.id
}
