import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { errorBody } from '../contract/common.ts'
import { organizationRoutes } from '../contract/organization-routes.ts'
import { addOrganization, REPO, testApp, type TestApp } from './_test-app.ts'

async function json(response: Response, status: number): Promise<Record<string, unknown>> {
  assert.equal(response.status, status, await response.clone().text())
  return (await response.json()) as Record<string, unknown>
}

async function refusal(response: Response, status: number): Promise<string> {
  assert.equal(response.status, status, await response.clone().text())
  return errorBody.parse(await response.json()).code
}

async function actions(test: TestApp, organizationId: string): Promise<string[]> {
  const rows = await test.app.db
    .selectFrom('audit_events')
    .select('action')
    .where('organization_id', '=', organizationId)
    .where('outcome', '=', 'done')
    .orderBy('id')
    .execute()
  return rows.map((row) => row.action)
}

const unisolated = { isolation: () => Promise.resolve('none' as const) }

describeOnBothEngines('organizations.create', (open) => {
  it('makes the person who asks its owner, and gives it a slug', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const body = { name: 'Bäckerei Müller & Söhne' }
    const made = await json(await owner('POST', '/api/organizations', { body }), 201)
    organizationRoutes['organizations.create'].response.parse(made)
    assert.equal(made['slug'], 'backerei-muller-sohne')
    const again = await json(await owner('POST', '/api/organizations', { body }), 201)
    assert.match(String(again['slug']), /^backerei-muller-sohne-[0-9a-f]{5}$/)
    const list = await json(await owner('GET', '/api/organizations'), 200)
    const items = list['items'] as { slug: string; role: string }[]
    assert.deepEqual(
      items.map(({ role }) => role),
      ['owner', 'owner', 'owner'],
    )
    assert.deepEqual(await actions(test, String(made['id'])), ['organization.created'])
  })

  it('makes one without members for the operator', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const made = await json(
      await test.request('POST', '/api/organizations', { body: { name: 'Shop', slug: 'shop' } }),
      201,
    )
    const path = `/api/organizations/${String(made['id'])}/members`
    assert.deepEqual((await json(await test.request('GET', path), 200))['items'], [])
    const taken = { body: { name: 'Shop', slug: 'shop' } }
    const code = await refusal(await test.request('POST', '/api/organizations', taken), 409)
    assert.equal(code, 'organization.slug_taken')
  })

  it('A-04 refuses fields that are not offered, naming them', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    for (const field of ['id', 'organization_id', 'role', 'closed_at', 'clerk_org_id', 'owner']) {
      const body = { name: 'x', [field]: 'owner' }
      const response = await owner('POST', '/api/organizations', { body })
      assert.equal(response.status, 422)
      const { details } = errorBody.parse(await response.json())
      assert.deepEqual(Object.keys(details ?? {}), [field])
    }
  })

  it('is refused while apps are not isolated, unless the operator accepts that', async () => {
    await using database = await open()
    using plain = testApp(database.db)
    const instance = { ...plain.app.instance, ...unisolated }
    using test = testApp(database.db, { instance })
    const body = { name: 'Others' }
    const code = await refusal(await test.request('POST', '/api/organizations', { body }), 409)
    assert.equal(code, 'organization.unisolated')
    const config = { ...plain.app.config, allowUnisolated: true }
    using accepted = testApp(database.db, { instance, config })
    await json(await accepted.request('POST', '/api/organizations', { body }), 201)
  })
})

describeOnBothEngines('organizations.read', (open) => {
  it('A-02 answers the same for an organization of others and for none at all', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const owner = await test.as('owner')
    const answers = []
    for (const id of ['org-other', 'org-unknown']) {
      const response = await owner('GET', `/api/organizations/${id}`)
      assert.equal(response.status, 404)
      answers.push((await response.text()).replaceAll(id, 'ID'))
    }
    assert.equal(answers[0], answers[1])
    const own = await json(await owner('GET', '/api/organizations/org-default'), 200)
    assert.equal(own['name'], 'Default')
  })
})

describeOnBothEngines('organizations.update', (open) => {
  it('renames, for owners alone', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const path = '/api/organizations/org-default'
    const admin = await test.as('admin')
    assert.equal((await admin('PATCH', path, { body: { name: 'Mine' } })).status, 403)
    const owner = await test.as('owner')
    const renamed = await json(await owner('PATCH', path, { body: { name: 'Ours' } }), 200)
    assert.equal(renamed['name'], 'Ours')
    assert.equal(renamed['slug'], 'default')
    assert.deepEqual(await actions(test, 'org-default'), ['organization.updated'])
  })
})

describeOnBothEngines('organizations.close', (open) => {
  it('ends the access of people and tokens, until the operator opens it again', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-shop')
    const owner = await test.as('owner', { organizationId: 'org-shop' })
    const token = await test.tokenOf('org-shop')
    const path = '/api/organizations/org-shop'
    assert.equal((await owner('POST', `${path}/reopen`)).status, 403)
    assert.equal((await owner('DELETE', path)).status, 204)
    assert.equal((await owner('GET', path)).status, 404)
    assert.equal((await owner('GET', '/api/projects')).status, 403)
    assert.equal((await test.request('GET', '/api/projects', { token })).status, 401)
    assert.equal((await owner('POST', `${path}/reopen`)).status, 404)
    const closed = await json(await test.request('GET', path), 200)
    assert.notEqual(closed['closed_at'], null)
    const reopened = await json(await test.request('POST', `${path}/reopen`), 200)
    assert.equal(reopened['closed_at'], null)
    assert.equal((await owner('GET', path)).status, 200)
    assert.deepEqual(await actions(test, 'org-shop'), [
      'organization.closed',
      'organization.reopened',
    ])
    assert.equal((await test.request('POST', '/api/organizations/none/reopen')).status, 404)
  })

  it('is refused while something runs in it, and for the first organization', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-shop')
    const headers = { 'x-nanoscale-organization': 'org-shop' }
    const body = { name: 'shop', ...REPO }
    const made = await json(await test.request('POST', '/api/projects', { body, headers }), 201)
    const path = '/api/organizations/org-shop'
    assert.equal(
      await refusal(await test.request('DELETE', path), 409),
      'organization.has_projects',
    )
    await test.request('DELETE', `/api/projects/${String(made['id'])}`, { headers })
    assert.equal((await test.request('DELETE', path)).status, 204)
    const code = await refusal(await test.request('DELETE', '/api/organizations/org-default'), 409)
    assert.equal(code, 'organization.not_closable')
  })
})

describeOnBothEngines('organizations.list', (open) => {
  it('shows people their own, tokens theirs, and the operator all, page by page', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const slugs = async (response: Response) => {
      const list = organizationRoutes['organizations.list'].response.parse(
        await json(response, 200),
      )
      return list.items.map((item) => item.slug)
    }
    const viewer = await test.as('viewer')
    assert.deepEqual(await slugs(await viewer('GET', '/api/organizations')), ['default'])
    const nobody = await test.as(null)
    assert.deepEqual(await slugs(await nobody('GET', '/api/organizations')), [])
    const token = await test.tokenOf('org-other')
    assert.deepEqual(await slugs(await test.request('GET', '/api/organizations', { token })), [
      'org-other',
    ])
    const first = await test.request('GET', '/api/organizations?limit=1')
    const page = await json(first, 200)
    assert.deepEqual((page['items'] as { slug: string }[]).length, 1)
    const rest = `/api/organizations?cursor=${String(page['next_cursor'])}`
    assert.deepEqual(await slugs(await test.request('GET', rest)), ['org-other'])
  })
})

describeOnBothEngines('metadata.update', (open) => {
  const path = '/api/organizations/org-default/metadata'

  it('keeps the facts, and when they were completed', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const viewer = await test.as('viewer')
    const before = await json(await viewer('GET', path), 200)
    assert.deepEqual(before['use_cases'], [])
    assert.equal((await viewer('PUT', path, { body: {} })).status, 403)
    const admin = await test.as('admin')
    const body = {
      company_size: 'startup',
      team_size: '1-5',
      use_cases: ['log_management', 'log_management', 'devops_automation'],
      observability_stack: ['prometheus_grafana', 'other'],
      completed: true,
    }
    const stored = await json(await admin('PUT', path, { body }), 200)
    assert.deepEqual(stored['use_cases'], ['log_management', 'devops_automation'])
    assert.notEqual(stored['completed_at'], null)
    const skipped = await json(await admin('PUT', path, { body: {} }), 200)
    assert.deepEqual(skipped, {
      company_size: null,
      team_size: null,
      use_cases: [],
      observability_stack: [],
      completed_at: stored['completed_at'],
    })
  })

  it('may be skipped altogether', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const stored = await json(await test.request('PUT', path, { body: { completed: true } }), 200)
    assert.equal(stored['company_size'], null)
    assert.notEqual(stored['completed_at'], null)
  })

  it('refuses values that are not in the lists', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (const [field, value] of [
      ['company_size', 'huge'],
      ['team_size', '5'],
      ['use_cases', ['gaming']],
      ['observability_stack', ['nagios']],
      ['organization_id', 'org-other'],
    ] as const) {
      const response = await test.request('PUT', path, { body: { [field]: value } })
      assert.equal(response.status, 422)
      const { details } = errorBody.parse(await response.json())
      assert.match(Object.keys(details ?? {}).join(), new RegExp(`^${field}`))
    }
  })
})
