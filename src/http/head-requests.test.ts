import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { REPO, testApp } from './_test-app.ts'

describeOnBothEngines('a HEAD request', (open) => {
  it('opens no stream that nobody reads', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const reader = await test.as('viewer')
    const made = await test.request('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
    const { id } = (await made.json()) as { id: string }
    for (let asked = 0; asked < 25; asked += 1) {
      const response = await reader('HEAD', `/api/projects/${id}/logs`)
      assert.equal(response.status, 200)
    }
    const response = await reader('GET', `/api/projects/${id}/logs?follow=false`)
    assert.equal(response.status, 200)
    await response.text()
  })

  it('exports nothing, and is let in no further than others', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const [admin, viewer] = [await test.as('admin'), await test.as('viewer')]
    assert.equal((await admin('HEAD', '/api/audit/export')).status, 200)
    assert.equal((await viewer('HEAD', '/api/audit/export')).status, 403)
    assert.equal((await viewer('HEAD', '/api/projects/unknown/logs')).status, 404)
    const events = await database.db.selectFrom('audit_events').select('action').execute()
    assert.deepEqual(events, [{ action: 'request.refused' }])
  })
})
