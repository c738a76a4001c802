import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import { cleanReleases } from './clean-releases.ts'

const signal = new AbortController().signal

describeOnBothEngines('cleanReleases()', (open) => {
  it('keeps the newest five, what is live and what stands by, and removes the others', async () => {
    await using s = await openDeploymentScene(open)
    for (let number = 1; number <= 7; number++) {
      await s.push(`sha-${number}`)
      await s.reaches(number, 'live')
    }
    const first = await s.state(1)
    await s.request('rollback', first?.id)
    await s.reaches(8, 'live')
    // Half-built, by a build that ended with its process.
    const { id } = await s.db
      .insertInto('releases')
      .values({
        id: 'release-unfinished',
        organization_id: 'org-default',
        project_id: s.project.id,
        fingerprint: 'f',
        commit_sha: 'x',
        tree_id: 't',
        plan: {},
        state: 'building',
        host_id: 'host-1',
        created_at: '2026-01-01T00:00:00.000Z',
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await s.db
      .updateTable('instances')
      .set({ state: 'stopped' })
      .where('state', '=', 'draining')
      .execute()
    const removed: string[] = []
    const spawner = {
      ...s.world.deps.spawner,
      remove: (place: { id: string }) => Promise.resolve(void removed.push(place.id)),
    }
    await cleanReleases({ ...s.world.deps, spawner }, signal)
    const second = await s.state(2)
    assert.deepEqual(new Set(removed), new Set([id, second?.release_id]))
    const row = await s.db
      .selectFrom('releases')
      .select('state')
      .where('id', '=', second?.release_id ?? '')
      .executeTakeFirst()
    assert.equal(row?.state, 'removed')
  })

  it('leaves a release that goes live while the sweep is at work', async () => {
    await using s = await openDeploymentScene(open)
    for (let number = 1; number <= 7; number++) {
      await s.push(`sha-${number}`)
      await s.reaches(number, 'live')
    }
    await s.db
      .updateTable('instances')
      .set({ state: 'stopped' })
      .where('state', '=', 'draining')
      .execute()
    const first = await s.state(1)
    const removed: string[] = []
    const remove = async ({ id }: { id: string }) => {
      removed.push(id)
      const live_deployment_id = first?.id ?? null
      await s.db.updateTable('projects').set({ live_deployment_id }).execute()
    }
    const spawner = { ...s.world.deps.spawner, remove }
    await cleanReleases({ ...s.world.deps, spawner }, signal)
    const second = await s.state(2)
    assert.deepEqual(removed, [second?.release_id])
  })
})
