import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { openDeploymentScene } from '../../test/_deployment-scene.ts'
import { silentLogger } from '../lib/logger.ts'
import { cleanInstances } from './clean-instances.ts'

describeOnBothEngines('cleanInstances()', (open) => {
  it('keeps the twenty newest that ended and all that run, and removes the output of the others', async () => {
    await using s = await openDeploymentScene(open)
    await s.push('sha-1')
    await s.reaches(1, 'live')
    const [running] = await s.db.selectFrom('instances').selectAll().execute()
    assert.ok(running)
    for (let index = 0; index < 23; index++) {
      const id = `00000000-0000-7000-8000-0000000000${String(index).padStart(2, '0')}`
      await s.db
        .insertInto('instances')
        .values({ ...running, id, state: 'crashed', port: null, pid: null })
        .execute()
    }
    const removed: string[] = []
    const spawner = { removeLog: (log: string) => Promise.resolve(void removed.push(log)) }
    const logPlaces = { directory: '/nonexistent', rotatedDirectory: '/nonexistent' }
    const deps = { db: s.db, log: silentLogger, hostId: running.host_id, spawner, logPlaces }
    await cleanInstances(deps, new AbortController().signal)
    const oldest = ['00', '01', '02'].map(
      (digits) => `instance-00000000-0000-7000-8000-0000000000${digits}.log`,
    )
    assert.deepEqual(new Set(removed), new Set(oldest))
    const left = await s.db.selectFrom('instances').select('id').execute()
    assert.equal(left.length, 21)
  })
})
