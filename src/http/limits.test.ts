import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { errorBody } from '../contract/common.ts'
import type { Database } from '../database/database.ts'
import { createMovableClock } from './_movable-clock.ts'
import { addOrganization, REPO, testApp, type TestApp } from './_test-app.ts'

async function codeOf(response: Response): Promise<[number, string]> {
  return [response.status, errorBody.parse(await response.json()).code]
}

async function createProject(test: TestApp, name: string): Promise<string> {
  const response = await test.request('POST', '/api/projects', { body: { name, ...REPO } })
  assert.equal(response.status, 201)
  return ((await response.json()) as { id: string }).id
}

async function refusals(db: Database) {
  return await db
    .selectFrom('audit_events')
    .select(['organization_id', 'actor_id', 'target_id', 'outcome', 'details', 'address'])
    .where('action', '=', 'request.refused')
    .orderBy('id')
    .execute()
}

/** With a clock that the test moves. */
function testAppWithLimit(db: Database, requestsPerMinute: number) {
  const clock = createMovableClock()
  using usual = testApp(db)
  const { config } = usual.app
  const app = testApp(db, { clock, config: { ...config, requestsPerMinute } })
  return { clock, app }
}

describeOnBothEngines('limits', (open) => {
  it('counts each session and token by itself, and says when to come back', async () => {
    await using database = await open()
    const { clock, app } = testAppWithLimit(database.db, 3)
    using test = app
    const [one, two] = [await test.as('viewer'), await test.as('viewer')]
    for (let i = 0; i < 3; i += 1) assert.equal((await one('GET', '/api/me')).status, 200)
    const refused = await one('GET', '/api/me')
    assert.equal(refused.headers.get('retry-after'), '20')
    assert.deepEqual(await codeOf(refused), [429, 'http.rate_limited'])
    assert.equal((await two('GET', '/api/me')).status, 200)
    for (let i = 0; i < 5; i += 1) assert.equal((await test.request('GET', '/api/me')).status, 200)
    clock.move(20_000)
    assert.equal((await one('GET', '/api/me')).status, 200)
  })

  it('counts strangers by their network, whatever they claim to be', async () => {
    await using database = await open()
    const { app } = testAppWithLimit(database.db, 10)
    using test = app
    const attempt = (index: number) =>
      test.request('GET', '/api/projects', {
        token: `nsk_${String(index).padStart(43, 'x')}`,
        address: `2001:db8::${index.toString(16)}`,
        headers: { 'x-forwarded-for': `203.0.113.${index}` },
      })
    for (let i = 1; i <= 120; i += 1) assert.equal((await attempt(i)).status, 401)
    assert.equal((await attempt(121)).status, 429)
    const home = { token: null, address: '2001:db8::1' }
    assert.equal((await test.request('GET', '/api/docs', home)).status, 429)
    assert.equal((await test.request('GET', '/healthz', home)).status, 200)
    // Whoever is known is not kept out by a stranger beside them.
    const viewer = await test.as('viewer')
    assert.equal((await viewer('GET', '/api/me', { address: '2001:db8::1' })).status, 200)
  })
})

describeOnBothEngines('refused attempts', (open) => {
  it('are audited, once a minute for each asker and route', async () => {
    await using database = await open()
    const { clock, app } = testAppWithLimit(database.db, 1000)
    using test = app
    const viewer = await test.as('viewer')
    const attempt = () => viewer('POST', '/api/projects', { body: {} })
    for (let i = 0; i < 5; i += 1) assert.equal((await attempt()).status, 403)
    assert.equal((await viewer('GET', '/api/instance')).status, 403)
    const before = await refusals(database.db)
    assert.deepEqual(
      before.map(({ details }) => details['route']),
      ['projects.create', 'instance.read'],
    )
    assert.deepEqual(before[0], {
      organization_id: 'org-default',
      actor_id: viewer.userId,
      target_id: null,
      outcome: 'refused',
      details: { route: 'projects.create', needed: 'member, projects:write' },
      address: '192.0.2.1',
    })
    clock.move(60_000)
    await attempt()
    assert.equal((await refusals(database.db)).length, 3)
  })

  it('are those at what is there and out of bounds too, not those at nothing', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const id = await createProject(test, 'hidden')
    const theirs = await test.as('owner', { organizationId: 'org-other' })
    const limited = await test.as('member', { reach: [] })
    await theirs('GET', '/api/projects/unknown')
    await theirs('GET', '/api/organizations/unknown')
    await test.request('GET', `/api/projects/${id}`, { token: null })
    assert.deepEqual(await refusals(database.db), [])
    await theirs('GET', `/api/projects/${id}`)
    await limited('GET', `/api/projects/${id}`)
    await theirs('GET', '/api/organizations/org-default')
    const noted = await refusals(database.db)
    assert.deepEqual(
      noted.map((one) => [one.organization_id, one.target_id]),
      [
        // The operator's: in their own audit it would tell them that there is such a project.
        [null, id],
        ['org-default', id],
        [null, 'org-default'],
      ],
    )
    const audit = await (await theirs('GET', '/api/audit')).text()
    assert.ok(!audit.includes(id) && !audit.includes('org-default'), audit)
  })
})
