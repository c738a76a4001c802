import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { errorBody } from '../contract/common.ts'
import { organizationRoutes } from '../contract/organization-routes.ts'
import { addOrganization, REPO, testApp, type TestApp } from './_test-app.ts'

const MEMBERS = '/api/organizations/org-default/members'

async function refusal(response: Response, status: number) {
  assert.equal(response.status, status, await response.clone().text())
  return errorBody.parse(await response.json())
}

async function createProject(test: TestApp, name: string, slug = 'default'): Promise<string> {
  const headers = { 'x-nanoscale-organization': slug }
  const body = { name, ...REPO }
  const response = await test.request('POST', '/api/projects', { body, headers })
  assert.equal(response.status, 201, await response.clone().text())
  return ((await response.json()) as { id: string }).id
}

async function feedByClerk(test: TestApp, userId: string): Promise<void> {
  await test.app.db
    .updateTable('organization_members')
    .set({ clerk_membership_id: 'orgmem_1' })
    .where('user_id', '=', userId)
    .execute()
  await test.app.db
    .updateTable('users')
    .set({ email: 'user_1@clerk.invalid', clerk_primary_email: 'ada@example.com' })
    .where('id', '=', userId)
    .execute()
}

describeOnBothEngines('members.list', (open) => {
  it('shows members of the organization alone, with their own addresses', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    await test.as('owner', { organizationId: 'org-other' })
    const viewer = await test.as('viewer')
    const fed = await test.as('member')
    await feedByClerk(test, fed.userId)
    const list = organizationRoutes['members.list'].response.parse(
      await (await viewer('GET', MEMBERS)).json(),
    )
    assert.deepEqual(
      list.items.map(({ email, role, from_clerk }) => ({ email, role, from_clerk })),
      [
        { email: viewer.email, role: 'viewer', from_clerk: false },
        { email: 'ada@example.com', role: 'member', from_clerk: true },
      ],
    )
    const found = await viewer('GET', `${MEMBERS}?email=ADA@example.com`)
    const { items } = organizationRoutes['members.list'].response.parse(await found.json())
    assert.deepEqual(
      items.map((item) => item.user_id),
      [fed.userId],
    )
  })
})

describeOnBothEngines('members.update', (open) => {
  it('changes role and projects at once', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const project = await createProject(test, 'shop')
    const hidden = await createProject(test, 'blog')
    const owner = await test.as('owner')
    const admin = await test.as('admin')
    const path = `${MEMBERS}/${admin.userId}`
    const body = { role: 'member', project_access: 'selected', project_ids: [project, project] }
    const response = await owner('PATCH', path, { body })
    const member = organizationRoutes['members.update'].response.parse(await response.json())
    assert.equal(member.role, 'member')
    assert.deepEqual(member.project_ids, [project])
    assert.equal((await admin('GET', `/api/projects/${project}`)).status, 200)
    assert.equal((await admin('GET', `/api/projects/${hidden}`)).status, 404)
    assert.equal((await admin('GET', '/api/instance')).status, 403)
    const event = await database.db
      .selectFrom('audit_events')
      .select(['details', 'target_name', 'actor_id'])
      .where('action', '=', 'member.updated')
      .executeTakeFirstOrThrow()
    assert.equal(event.actor_id, owner.userId)
    assert.deepEqual(event.details, {
      before: { role: 'admin', project_access: 'all', project_ids: [] },
      after: { role: 'member', project_access: 'selected', project_ids: [project] },
    })
  })

  it('opens nothing when the last named project is deleted', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const project = await createProject(test, 'shop')
    const other = await createProject(test, 'blog')
    const member = await test.as('member', { reach: [project] })
    await database.db.deleteFrom('project_members').execute()
    assert.equal((await member('GET', `/api/projects/${other}`)).status, 404)
    assert.equal((await member('GET', `/api/projects/${project}`)).status, 404)
  })

  it('A-02 refuses projects of others and unknown ones alike, naming the field', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const foreign = await createProject(test, 'shop', 'org-other')
    const owner = await test.as('owner')
    const member = await test.as('member')
    const answers = []
    for (const id of [foreign, 'unknown-id']) {
      const body = { project_access: 'selected', project_ids: [id] }
      const answer = await refusal(
        await owner('PATCH', `${MEMBERS}/${member.userId}`, { body }),
        422,
      )
      assert.deepEqual(Object.keys(answer.details ?? {}), ['project_ids'])
      answers.push(JSON.stringify(answer).replaceAll(id, 'ID'))
    }
    assert.equal(answers[0], answers[1])
    const stored = await database.db
      .selectFrom('organization_members')
      .select('project_access')
      .where('user_id', '=', member.userId)
      .executeTakeFirstOrThrow()
    assert.equal(stored.project_access, 'all')
  })

  it('A-02 finds nobody of another organization, and nobody unknown, alike', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const theirs = await test.as('member', { organizationId: 'org-other' })
    const owner = await test.as('owner')
    for (const [method, suffix, body] of [
      ['PATCH', '', { role: 'owner' }],
      ['DELETE', '', undefined],
      ['POST', '/reset-link', undefined],
    ] as const) {
      const answers = []
      for (const id of [theirs.userId, 'unknown-id']) {
        const options = body === undefined ? {} : { body }
        const response = await owner(method, `${MEMBERS}/${id}${suffix}`, options)
        assert.equal(response.status, 404)
        answers.push((await response.text()).replaceAll(id, 'ID'))
      }
      assert.equal(answers[0], answers[1])
    }
  })

  it('A-04 refuses fields that are not offered, naming them', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    for (const field of ['id', 'user_id', 'organization_id', 'clerk_membership_id', 'joined_at']) {
      const body = { role: 'viewer', [field]: 'x' }
      const answer = await refusal(
        await owner('PATCH', `${MEMBERS}/${owner.userId}`, { body }),
        422,
      )
      assert.deepEqual(Object.keys(answer.details ?? {}), [field])
    }
  })

  it('leaves what Clerk feeds to Clerk', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const fed = await test.as('member')
    await feedByClerk(test, fed.userId)
    const path = `${MEMBERS}/${fed.userId}`
    for (const response of [
      await owner('PATCH', path, { body: { role: 'viewer' } }),
      await owner('DELETE', path),
      await owner('POST', `${path}/reset-link`),
      await fed('DELETE', '/api/organizations/org-default/membership'),
    ]) {
      assert.equal((await refusal(response, 409)).code, 'member.from_clerk')
    }
  })

  it('is for owners alone', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const admin = await test.as('admin')
    const body = { role: 'owner' }
    assert.equal((await admin('PATCH', `${MEMBERS}/${admin.userId}`, { body })).status, 403)
  })
})

describeOnBothEngines('members.remove', (open) => {
  it('ends access and revokes tokens at once, and keeps the session', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const member = await test.as('member')
    const mine = { userId: member.userId }
    const token = await test.tokenOf('org-default', mine)
    const ownersToken = await test.tokenOf('org-default', { userId: owner.userId })
    assert.equal((await test.request('GET', '/api/projects', { token })).status, 200)
    assert.equal((await owner('DELETE', `${MEMBERS}/${member.userId}`)).status, 204)
    assert.equal((await test.request('GET', '/api/projects', { token })).status, 401)
    assert.equal((await test.request('GET', '/api/projects', { token: ownersToken })).status, 200)
    assert.equal((await member('GET', '/api/projects')).status, 403)
    assert.equal((await member('GET', '/api/me')).status, 200)
    const events = await database.db
      .selectFrom('audit_events')
      .select('action')
      .where('outcome', '=', 'done')
      .orderBy('id')
      .execute()
    assert.deepEqual(
      events.map((event) => event.action),
      ['member.removed', 'token.revoked'],
    )
    assert.equal((await owner('DELETE', `${MEMBERS}/${member.userId}`)).status, 404)
  })

  it('takes back the invitations that a former owner made', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const other = await test.as('owner')
    const body = { email: 'back-door@example.com', role: 'owner' }
    const invited = await other('POST', '/api/organizations/org-default/invitations', { body })
    assert.equal(invited.status, 201, await invited.clone().text())
    assert.equal((await owner('DELETE', `${MEMBERS}/${other.userId}`)).status, 204)
    const list = await owner('GET', '/api/organizations/org-default/invitations')
    assert.deepEqual(((await list.json()) as { items: unknown[] }).items, [])
  })

  it('keeps the last owner, who is neither demoted nor removed and does not leave', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    await test.as('admin')
    const path = `${MEMBERS}/${owner.userId}`
    for (const response of [
      await owner('PATCH', path, { body: { role: 'admin' } }),
      await owner('DELETE', path),
      await owner('DELETE', '/api/organizations/org-default/membership'),
      await test.request('DELETE', path),
    ]) {
      assert.equal((await refusal(response, 409)).code, 'member.last_owner')
    }
    const gone = await test.as('owner')
    const deleted_at = '2026-01-01T00:00:00.000Z'
    await database.db
      .updateTable('users')
      .set({ deleted_at })
      .where('id', '=', gone.userId)
      .execute()
    assert.equal((await refusal(await owner('DELETE', path), 409)).code, 'member.last_owner')
  })

  it('lets one of two owners go who remove each other at the same moment', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (let round = 0; round < 5; round += 1) {
      const one = await test.as('owner')
      const two = await test.as('owner')
      const statuses = await Promise.all([
        one('DELETE', `${MEMBERS}/${two.userId}`),
        two('DELETE', `${MEMBERS}/${one.userId}`),
      ]).then((answers) => answers.map((answer) => answer.status).toSorted((a, b) => a - b))
      assert.equal(statuses[0], 204)
      const left = await database.db
        .selectFrom('organization_members')
        .select('user_id')
        .where('role', '=', 'owner')
        .execute()
      assert.equal(left.length, 1)
      await database.db.deleteFrom('organization_members').execute()
    }
  })
})

describeOnBothEngines('members.leave', (open) => {
  it('lets a viewer go, but not the operator', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const path = '/api/organizations/org-default/membership'
    const viewer = await test.as('viewer')
    assert.equal((await viewer('DELETE', path)).status, 204)
    assert.equal((await viewer('GET', '/api/projects')).status, 403)
    assert.equal((await test.request('DELETE', path)).status, 403)
  })
})
