import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { migrateDown, migrateToLatest } from './migrate.ts'

describeOnBothEngines('migrateToLatest()', (open) => {
  it('goes up, all the way down and up again', async () => {
    await using test = await open({ schema: 'empty' })
    const up = await migrateToLatest(test.db)
    assert.ok(up.length >= 4)
    for (const name of up.toReversed()) assert.deepEqual(await migrateDown(test.db), [name])
    assert.deepEqual(await migrateDown(test.db), [])
    assert.deepEqual(await migrateToLatest(test.db), up)
    assert.deepEqual(await migrateToLatest(test.db), [])
  })

  it('gives each test a fresh database with the organization "default"', async () => {
    await using first = await open()
    await using second = await open()
    await first.db.deleteFrom('organizations').execute()
    const rows = await second.db.selectFrom('organizations').select(['id', 'slug']).execute()
    assert.deepEqual(rows, [{ id: 'org-default', slug: 'default' }])
  })
})
