import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import { eventually } from '../../test/_deployments.ts'
import { SYSTEM } from '../audit/actor.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { OperationError } from '../lib/errors.ts'
import { requestCancel } from './project-requests.ts'

const ANN = { ...SYSTEM, kind: 'user', id: 'u1', name: 'ann@example.com' } as const

async function eventsOf(db: Database) {
  return await db.selectFrom('audit_events').selectAll().orderBy('id').execute()
}

describeOnBothEngines('the audit of deployments', (open) => {
  it('has how each ends, once, and who asked for it', async () => {
    await using s = await openDeploymentScene(open)
    await s.push('a')
    const live = await s.reaches(1, 'live')
    await s.request('redeploy')
    await s.reaches(2, 'live')
    await s.request('rollback', live.id)
    await s.reaches(3, 'live')
    const events = await eventsOf(s.db)
    assert.deepEqual(
      events.map((event) => [event.action, event.outcome, event.target_name]),
      [
        ['deployment.ended', 'done', '#1'],
        ['deployment.requested', 'done', '#2'],
        ['deployment.ended', 'done', '#2'],
        ['deployment.requested', 'done', '#3'],
        ['deployment.ended', 'done', '#3'],
      ],
    )
    const [ended, , , asked] = events
    assert.equal(ended?.actor_kind, 'system')
    assert.equal(ended?.target_id, live.id)
    assert.deepEqual(ended?.details, {
      project_id: s.project.id,
      state: 'live',
      cause: 'first',
      commit_sha: 'a',
      failure_code: null,
    })
    assert.deepEqual(asked?.details, {
      project_id: s.project.id,
      cause: 'rollback',
      repeats_deployment_id: live.id,
    })
  })

  it('has a failure with its reason', async () => {
    await using s = await openDeploymentScene(open)
    s.world.holdBuild = () => Promise.reject(new OperationError('build.failed', 'Cannot build'))
    await s.push('a')
    const failed = await s.reaches(1, 'failed')
    const [event] = await eventsOf(s.db)
    assert.equal(event?.action, 'deployment.ended')
    assert.equal(event?.outcome, 'failed')
    assert.equal(event?.details['state'], 'failed')
    assert.equal(event?.details['failure_code'], failed.failure_code)
  })

  it('has who cancelled, not that it ended, and nothing of what came too late', async () => {
    await using s = await openDeploymentScene(open)
    const built = Promise.withResolvers<void>()
    s.world.holdBuild = () => built.promise
    await s.push('a')
    const { id } = await s.reaches(1, 'building')
    const request = { organizationId: 'org-default', deploymentId: id, by: ANN }
    const cancel = () => inTransaction(s.db, (tx) => requestCancel(s.world.deps, tx, request))
    assert.deepEqual(await cancel(), { kind: 'cancelling' })
    s.engine.wake()
    await eventually('cancelled', async () => (await s.state(1))?.state === 'cancelled')
    assert.equal((await cancel()).kind, 'too_late')
    const events = await eventsOf(s.db)
    assert.deepEqual(
      events.map((event) => [event.action, event.actor_id, event.target_id]),
      [['deployment.cancelled', 'u1', id]],
    )
    assert.equal(events[0]?.details['state'], 'building')
  })
})
