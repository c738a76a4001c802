import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { errorBody } from '../contract/common.ts'
import { ROUTES } from '../contract/routes.ts'
import { toIsoTime } from '../lib/clock.ts'
import { addOrganization, PUBLIC_URL, REPO, testApp, type TestApp } from './_test-app.ts'

async function codeOf(response: Response): Promise<[number, string]> {
  return [response.status, errorBody.parse(await response.json()).code]
}

async function createProject(test: TestApp, name: string): Promise<string> {
  const response = await test.request('POST', '/api/projects', { body: { name, ...REPO } })
  assert.equal(response.status, 201)
  return ((await response.json()) as { id: string }).id
}

describeOnBothEngines('who asks', (open) => {
  it('is a person by their cookie, until the session is gone or the person is deleted', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { db } = database
    const viewer = await test.as('viewer')
    assert.equal((await viewer('GET', '/api/projects')).status, 200)
    const now = toIsoTime(Date.now())
    await db.updateTable('users').set({ deleted_at: now }).where('id', '=', viewer.userId).execute()
    assert.equal((await viewer('GET', '/api/projects')).status, 401)
    await db.updateTable('users').set({ deleted_at: null }).execute()
    assert.equal((await viewer('GET', '/api/projects')).status, 200)
    await db.deleteFrom('sessions').where('id', '=', viewer.sessionId).execute()
    assert.equal((await viewer('GET', '/api/projects')).status, 401)
  })

  it('is told by one credential alone: a bad header is not made up for by a good cookie', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const read = await test.tokenOf('org-default', { scopes: ['projects:read'] })
    const send = (authorization: string) =>
      owner('GET', '/api/instance', { headers: { authorization } })
    assert.equal((await owner('GET', '/api/instance')).status, 200)
    assert.equal((await send(`Bearer nsk_${'x'.repeat(43)}`)).status, 401)
    assert.equal((await send('Basic YTpi')).status, 401)
    // A good one counts instead of the cookie, with what it may.
    assert.equal((await send(`Bearer ${read}`)).status, 403)
  })

  it('may no more with a token than its maker now may', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const maker = await test.as('member')
    const token = await test.tokenOf('org-default', { userId: maker.userId })
    const create = (name: string) =>
      test.request('POST', '/api/projects', { token, body: { name, ...REPO } })
    assert.equal((await create('one')).status, 201)
    const members = database.db.updateTable('organization_members')
    await members.set({ role: 'viewer' }).execute()
    assert.deepEqual(await codeOf(await create('two')), [403, 'http.forbidden'])
    assert.equal((await test.request('GET', '/api/projects', { token })).status, 200)
    await database.db.deleteFrom('organization_members').execute()
    assert.equal((await test.request('GET', '/api/projects', { token })).status, 401)
  })

  it('acts in the organization that is named, if it is one of theirs', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { db } = database
    await addOrganization(db, 'org-other')
    await createProject(test, 'ours')
    const owner = await test.as('owner', { organizationId: 'org-other' })
    const list = (slug: string) =>
      owner('GET', '/api/projects', { headers: { 'x-nanoscale-organization': slug } })
    assert.equal((await list('org-other')).status, 200)
    for (const slug of ['default', 'unknown']) {
      assert.deepEqual(await codeOf(await list(slug)), [404, 'organization.not_found'], slug)
    }
    const token = await test.tokenOf('org-other')
    const headers = { 'x-nanoscale-organization': 'default' }
    assert.equal((await test.request('GET', '/api/projects', { token, headers })).status, 404)
    const operator = await test.request('GET', '/api/projects', { headers })
    const { items } = ROUTES['projects.list'].response.parse(await operator.json())
    assert.deepEqual(
      items.map(({ name }) => name),
      ['ours'],
    )
  })

  it('belongs to no organization after it was closed, but for the operator', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const token = await test.tokenOf('org-default')
    const own = await test.tokenOf('org-default', { userId: owner.userId })
    const now = toIsoTime(Date.now())
    await database.db.updateTable('organizations').set({ closed_at: now }).execute()
    const answers = await owner('GET', '/api/projects')
    assert.deepEqual(await codeOf(answers), [403, 'organization.none'])
    assert.equal((await owner('GET', '/api/organizations/org-default')).status, 404)
    assert.equal((await owner('GET', '/api/me')).status, 200)
    for (const bearer of [token, own]) {
      assert.equal((await test.request('GET', '/api/projects', { token: bearer })).status, 401)
    }
    assert.equal((await test.request('GET', '/api/projects')).status, 200)
  })
})

describeOnBothEngines('reach', (open) => {
  it('shows limited people their projects alone, and those they create', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const [shown, hidden] = [
      await createProject(test, 'shown'),
      await createProject(test, 'hidden'),
    ]
    const limited = await test.as('member', { reach: [shown] })
    const namesOf = async (response: Response) =>
      ROUTES['projects.list'].response.parse(await response.json()).items.map(({ name }) => name)
    assert.deepEqual(await namesOf(await limited('GET', '/api/projects')), ['shown'])
    assert.deepEqual(await namesOf(await limited('GET', '/api/projects?name=hidden')), [])
    assert.equal((await limited('GET', `/api/projects/${shown}`)).status, 200)
    assert.equal((await limited('GET', `/api/projects/${hidden}`)).status, 404)
    const token = await test.tokenOf('org-default', { userId: limited.userId })
    assert.equal((await test.request('GET', `/api/projects/${hidden}`, { token })).status, 404)
    const made = await limited('POST', '/api/projects', { body: { name: 'new', ...REPO } })
    assert.equal(made.status, 201)
    assert.deepEqual(await namesOf(await limited('GET', '/api/projects')), ['shown', 'new'])
  })

  it('names them no other project among those of members', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const shared = await createProject(test, 'shared')
    const hidden = await createProject(test, 'hidden')
    const other = await test.as('member', { reach: [shared, hidden] })
    const limited = await test.as('viewer', { reach: [shared] })
    const projectsOf = async (ask: typeof other) => {
      const path = `/api/organizations/org-default/members?email=${other.email}`
      const list = ROUTES['members.list'].response.parse(await (await ask('GET', path)).json())
      return list.items.map((item) => item.project_ids)
    }
    assert.deepEqual(await projectsOf(limited), [[shared]])
    assert.deepEqual(await projectsOf(await test.as('viewer')), [[shared, hidden]])
  })
})

describeOnBothEngines('what other sites send', (open) => {
  it('A-03 changes nothing for a browser without our Origin', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const body = { name: 'shop', ...REPO }
    const foreign = [
      { origin: 'https://evil.example.com' },
      { origin: 'null' },
      { origin: '' },
      { origin: 'http://nanoscale.example.com' },
      { origin: 'https://nanoscale.example.com.evil.example' },
      { origin: 'https://evil.example.com', 'sec-fetch-site': 'same-origin' },
      { origin: 'https://evil.example.com', host: 'evil.example.com' },
    ]
    for (const headers of foreign) {
      const response = await owner('POST', '/api/projects', { body, headers })
      assert.deepEqual(await codeOf(response), [403, 'http.foreign_origin'], headers.origin)
    }
    const { cookie } = owner
    const send = (headers: Record<string, string>) =>
      test.request('POST', '/api/projects', { token: null, body, headers })
    assert.equal((await send({ cookie })).status, 403)
    assert.equal((await send({ cookie, 'sec-fetch-site': 'cross-site' })).status, 403)
    assert.equal((await send({ cookie, 'sec-fetch-site': 'same-site' })).status, 403)
    assert.equal((await send({ cookie, 'sec-fetch-site': 'same-origin' })).status, 201)
    const again = { ...body, name: 'again' }
    assert.equal((await owner('POST', '/api/projects', { body: again })).status, 201)
  })

  it('A-03 signs nobody in, and asks no Origin of programs', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const body = { email: 'ada@example.com', password: 'correct horse battery' }
    const headers = { origin: 'https://evil.example.com' }
    for (const sent of [headers, {}]) {
      const options = { token: null, body, headers: sent }
      const response = await test.request('POST', '/api/auth/sign-in/email', options)
      assert.deepEqual(await codeOf(response), [403, 'http.foreign_origin'])
    }
    const token = await test.tokenOf('org-default')
    const made = await test.request('POST', '/api/tokens', { token, body: { name: 'a' }, headers })
    assert.equal(made.status, 201)
    assert.equal(made.headers.get('access-control-allow-origin'), null)
  })

  it('A-03 reads no body that a form can send, and none that is compressed', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const forms = [
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/jsonp' },
      { 'content-encoding': 'gzip' },
    ]
    for (const headers of forms) {
      const options = { body: '{"name":"laptop"}', headers }
      const response = await test.request('POST', '/api/tokens', options)
      assert.deepEqual(await codeOf(response), [415, 'http.unsupported_media_type'])
    }
  })

  it('A-10 takes no address from a Host header', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const headers = { host: 'evil.example.com', 'x-forwarded-host': 'evil.example.com' }
    const body = { email: 'ada@example.com', role: 'viewer' }
    const answers = [
      await test.request('POST', '/api/organizations/org-default/invitations', { headers, body }),
      await test.request('GET', '/api/openapi.json', { headers }),
      await test.request('GET', '/api/instance', { headers }),
    ]
    for (const answer of answers) {
      const text = await answer.text()
      assert.equal(answer.ok, true, text)
      assert.doesNotMatch(text, /evil/)
      assert.ok(text.includes(PUBLIC_URL), text)
    }
  })
})
