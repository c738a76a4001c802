import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import { eventually, insertProject, type FakeWorld } from '../../test/_deployments.ts'
import { raceAbort } from '../../test/_fake-runtime.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'

describeOnBothEngines('createRestarts()', (open) => {
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

  it('tells the routes of a crash whose predecessor is being stopped at that moment', async () => {
    await using s = await openDeploymentScene(open)
    s.world.deps.traffic.drain = () => new Promise(() => {})
    await s.push('a')
    await s.reaches(1, 'live')
    await s.push('b')
    await s.reaches(2, 'live')
    const draining = s.db.updateTable('instances').set({ retire_at: '' })
    await draining.where('state', '=', 'draining').execute()
    const live = await s.db
      .selectFrom('instances')
      .select('id')
      .where('state', '=', 'running')
      .executeTakeFirstOrThrow()
    // It never serves again, so that only the crash itself is published.
    s.world.behaviour.set('b', { status: 500 })
    const published = s.world.tables.length
    s.world.crash(live.id)
    await eventually('another table', () => Promise.resolve(s.world.tables.length > published))
    assert.equal(await s.live(), 2)
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
    for (let count = 0; count < 4; count++) hanging.add(await insertCrashedApp(s.world))
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
