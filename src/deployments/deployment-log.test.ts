import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createFakeWorld, insertProject } from '../../test/_deployments.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { openDeploymentLog } from './deployment-log.ts'
import { readDeploymentLog } from './deployment-records.ts'
import { requestDeployment } from './request-deployment.ts'

describeOnBothEngines('openDeploymentLog()', (open) => {
  it('stores lines in order, redacted, and goes on counting after a restart', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db)
    const { deps } = world
    const project = await insertProject(database.db)
    const commit = { sha: 'a', message: null, author: null, committedAt: null }
    const request = { projectId: project.id, cause: 'first', commit } as const
    const requested = await inTransaction(database.db, (tx) => requestDeployment(deps, tx, request))
    const deployment = { id: requested.deploymentId, organization_id: 'org-default' }
    const seen: number[] = []
    deps.events.onLog(deployment.id, (rows) => seen.push(...rows.map((row) => row.sequence)))
    deps.redactor.add('swordfish')
    {
      await using log = await openDeploymentLog(deps, deployment)
      log.note('Fetching')
      log.output('the password is sword')
      log.output('fish\n')
    }
    {
      await using log = await openDeploymentLog(deps, deployment)
      log.note('Resumed')
      log.output(`${'x'.repeat(20_000)}swordfish`)
    }
    const rows = await readDeploymentLog(database.db, deployment.id, 0, 100)
    assert.deepEqual(
      rows.map((row) => row.sequence),
      [1, 2, 3, 4, 5],
    )
    assert.deepEqual(seen, [1, 2, 3, 4, 5])
    assert.ok(!rows.some((row) => row.text.includes('swordfish')))
    assert.match(rows[1]?.text ?? '', /^the password is .*\n$/)
    const rest = await readDeploymentLog(database.db, deployment.id, 4, 100)
    assert.equal(rest.length, 1)
  })

  it('cuts output without end, and keeps what the platform says', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db)
    const project = await insertProject(database.db)
    const commit = { sha: 'a', message: null, author: null, committedAt: null }
    const request = { projectId: project.id, cause: 'first', commit } as const
    const requested = await inTransaction(database.db, (tx) =>
      requestDeployment(world.deps, tx, request),
    )
    const deployment = { id: requested.deploymentId, organization_id: 'org-default' }
    {
      await using log = await openDeploymentLog(world.deps, deployment)
      for (let part = 0; part < 100; part++) log.output('y'.repeat(100_000))
      log.note('Failed')
    }
    const rows = await readDeploymentLog(database.db, deployment.id, 0, 10_000)
    const size = rows.reduce((sum, row) => sum + row.text.length, 0)
    assert.ok(size < 4_500_000, `${size}`)
    assert.match(rows.at(-1)?.text ?? '', /cut here.*\nFailed\n$/)
  })
})
