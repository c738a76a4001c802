import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createFakeWorld, createTestClock, insertProject } from '../../test/_deployments.ts'
import { createBranchPolling } from './poll-branches.ts'

const signal = new AbortController().signal

describeOnBothEngines('createBranchPolling()', (open) => {
  it('tells when there is room for those that wait, and looks at eight at once', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    for (let count = 0; count < 10; count++) await insertProject(database.db)
    world.head.sha = 'a'
    let calls = 0
    const polling = createBranchPolling(
      world.deps,
      () => {},
      () => void (calls += 1),
    )
    await polling.pollDue(signal)
    await polling.settled()
    assert.equal(calls, 8)
    await polling.pollDue(signal)
    await polling.settled()
    assert.equal(calls, 8)
    const left = await database.db
      .selectFrom('projects')
      .select('id')
      .where('considered_head', 'is', null)
      .execute()
    assert.deepEqual(left, [])
  })
})
