import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { refusal } from './_invitations.ts'
import { testApp } from './_test-app.ts'

const INVITATIONS = '/api/organizations/org-default/invitations'

describeOnBothEngines('the character NUL', (open) => {
  it('A-07 is refused wherever it is sent, the same on both engines', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (const [method, path] of [
      ['GET', '/api/tokens?cursor=%00'],
      ['GET', '/api/projects?name=a%00b'],
      ['GET', '/api/organizations/%00'],
      ['DELETE', '/api/tokens/%00'],
    ] as const) {
      assert.equal((await refusal(await test.request(method, path), 400)).code, 'http.malformed')
    }
    const invitation = { email: 'ada@example.com', role: 'member', project_ids: ['a', 'b\0'] }
    for (const [path, body, field] of [
      ['/api/organizations', { name: 'a\0b' }, 'name'],
      ['/api/tokens', { name: '\0a' }, 'name'],
      ['/api/invitations/read', { token: 'a\0b' }, 'token'],
      [INVITATIONS, invitation, 'project_ids.1'],
    ] as const) {
      const { details } = await refusal(await test.request('POST', path, { body }), 422)
      assert.deepEqual(Object.keys(details ?? {}), [field])
    }
    const escaped = await test.request('GET', '/api/tokens?cursor=%2500')
    assert.equal(escaped.status, 200)
  })
})
