import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { PERMISSIONS } from '../contract/permissions.ts'
import type { RouteId } from '../contract/routes.ts'
import { tokenRoutes } from '../contract/token-routes.ts'
import { addOrganization, REPO, testApp, type SendOptions, type TestApp } from './_test-app.ts'

type Ask = (method: string, path: string, options?: SendOptions) => Promise<Response>

async function me(ask: Ask, options: SendOptions = {}) {
  const response = await ask('GET', '/api/me', options)
  assert.equal(response.status, 200, await response.clone().text())
  return tokenRoutes.me.response.parse(await response.json())
}

async function createProject(ask: Ask, name: string): Promise<string> {
  const response = await ask('POST', '/api/projects', { body: { name, ...REPO } })
  assert.equal(response.status, 201, await response.clone().text())
  return ((await response.json()) as { id: string }).id
}

async function listedProjects(ask: Ask, query = ''): Promise<string[]> {
  const response = await ask('GET', `/api/projects${query}`)
  const { items } = (await response.json()) as { items: { id: string }[] }
  return items.map((item) => item.id)
}

async function secondMembership(test: TestApp, userId: string): Promise<void> {
  await addOrganization(test.app.db, 'org-other')
  const other = await test.as('viewer', { organizationId: 'org-other' })
  await test.app.db
    .updateTable('organization_members')
    .set({ user_id: userId })
    .where('user_id', '=', other.userId)
    .execute()
}

describeOnBothEngines('me', (open) => {
  it('tells a person who they are, and what they may here', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const member = await test.as('member')
    await secondMembership(test, member.userId)
    const here = await me(member)
    assert.equal(here.kind, 'user')
    assert.deepEqual(here.user, {
      id: member.userId,
      name: 'A member',
      email: member.email,
      two_factor_enabled: false,
    })
    assert.equal(here.organization?.slug, 'default')
    assert.equal(here.role, 'member')
    assert.equal(here.scopes, null)
    assert.deepEqual(
      here.organizations.map(({ slug, role }) => ({ slug, role })),
      [
        { slug: 'default', role: 'member' },
        { slug: 'org-other', role: 'viewer' },
      ],
    )
    assert.ok(here.permissions.includes('projects.create'))
    assert.ok(!here.permissions.includes('projects.delete'))
    assert.ok(!here.permissions.includes('keys.rotate'))
    const there = await me(member, { headers: { 'x-nanoscale-organization': 'org-other' } })
    assert.equal(there.role, 'viewer')
    assert.ok(!there.permissions.includes('projects.create'))
  })

  it('knows who belongs to no organization', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const nobody = await me(await test.as(null))
    assert.equal(nobody.organization, null)
    assert.equal(nobody.role, null)
    assert.deepEqual(nobody.organizations, [])
    assert.ok(nobody.permissions.includes('me'))
    assert.ok(!nobody.permissions.includes('projects.list'))
  })

  it('tells what a token and the operator may', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    await secondMembership(test, owner.userId)
    const scopes = ['projects:read']
    const token = await test.tokenOf('org-default', { userId: owner.userId, scopes })
    const asToken = await me(test.request, { token })
    assert.equal(asToken.kind, 'token')
    assert.equal(asToken.user?.id, owner.userId)
    assert.deepEqual(asToken.scopes, scopes)
    assert.deepEqual(asToken.organizations.length, 1)
    assert.ok(asToken.permissions.includes('projects.list'))
    assert.ok(!asToken.permissions.includes('projects.create'))
    const operator = await me(test.request)
    assert.equal(operator.kind, 'operator')
    assert.equal(operator.user, null)
    const people = (Object.keys(PERMISSIONS) as RouteId[]).filter(
      (id) => PERMISSIONS[id].who === 'person',
    )
    assert.deepEqual(
      new Set([...operator.permissions, ...people]),
      new Set(Object.keys(PERMISSIONS)),
    )
  })
})

describeOnBothEngines('projects.list', (open) => {
  it('shows limited people what they reach, and what they create themselves', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const shop = await createProject(test.request, 'shop')
    const blog = await createProject(test.request, 'blog')
    const member = await test.as('member', { reach: [shop] })
    assert.deepEqual(await listedProjects(member), [shop])
    assert.deepEqual(await listedProjects(member, '?name=blog'), [])
    const own = await createProject(member, 'own')
    assert.deepEqual(await listedProjects(member), [shop, own])
    assert.equal((await member('GET', `/api/projects/${own}`)).status, 200)
    const token = await test.tokenOf('org-default', { userId: member.userId })
    const bearer: Ask = (method, path) => test.request(method, path, { token })
    assert.deepEqual(await listedProjects(bearer), [shop, own])
    const admin = await test.as('admin', { reach: [] })
    assert.deepEqual(await listedProjects(admin), [shop, blog, own])
  })
})
