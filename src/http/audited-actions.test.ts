import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { AuditAction } from '../audit/audit-actions.ts'
import { REPO, testApp, type TestApp } from './_test-app.ts'

interface Event {
  action: string
  organization_id: string | null
  actor: { kind: string; id: string | null; name: string | null }
  address: string | null
  target: { kind: string; id: string; name: string | null } | null
  details: Record<string, unknown>
}

/** The oldest first. */
async function eventsOf(test: TestApp): Promise<Event[]> {
  const response = await test.request('GET', '/api/audit')
  assert.equal(response.status, 200)
  return ((await response.json()) as { items: Event[] }).items.toReversed()
}

describeOnBothEngines('what is audited', (open) => {
  it('has what a person does to a project, with names but no values', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const secret = 'v-8d1f0c3e5a'
    const project = await owner('POST', '/api/projects', {
      body: { name: 'shop', ...REPO, environment: [{ name: 'KEY', value: secret }] },
    })
    const { id } = (await project.json()) as { id: string }
    const at = `/api/projects/${id}`
    const changes: [string, string, object?][] = [
      ['PATCH', at, { build_command: `make TOKEN=${secret}`, branch: 'next' }],
      ['PATCH', at, { branch: 'next' }],
      ['PUT', `${at}/environment`, { variables: [{ name: 'KEY', value: `${secret}2` }] }],
      ['PUT', `${at}/environment`, { variables: [{ name: 'KEY', value: `${secret}2` }] }],
      ['DELETE', `${at}/environment/KEY`],
      ['POST', `${at}/domains`, { hostname: 'shop.example.com' }],
      ['DELETE', `${at}/domains/shop.example.com`],
      ['DELETE', at],
    ]
    for (const [method, path, body] of changes) {
      const answer = await owner(method, path, body === undefined ? {} : { body })
      assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
    }
    const events = await eventsOf(test)
    const expected: [AuditAction, object][] = [
      ['project.created', { ...REPO, variables: ['KEY'] }],
      [
        'project.updated',
        { fields: ['branch', 'build_command'], branch: { from: 'main', to: 'next' } },
      ],
      ['environment.changed', { set: ['KEY'], deployment_id: null }],
      ['environment.changed', { removed: ['KEY'], deployment_id: null }],
      ['domain.added', { hostname: 'shop.example.com' }],
      ['domain.removed', { hostname: 'shop.example.com' }],
      ['project.deleted', {}],
    ]
    assert.deepEqual(
      events.map(({ action, details }) => [action, details]),
      expected,
    )
    for (const event of events) {
      assert.deepEqual(event.target, { kind: 'project', id, name: 'shop' })
      assert.deepEqual(event.actor, { kind: 'user', id: owner.userId, name: owner.email })
      assert.equal(event.address, '192.0.2.1')
    }
    assert.ok(!JSON.stringify(events).includes(secret))
  })

  it('has nothing of what did not happen', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const body = { name: 'shop', ...REPO }
    assert.equal((await test.request('POST', '/api/projects', { body })).status, 201)
    assert.equal((await test.request('POST', '/api/projects', { body })).status, 409)
    const events = await eventsOf(test)
    assert.deepEqual(
      events.map(({ action }) => action),
      ['project.created'],
    )
  })

  it('has the rotation and retirement of keys', async () => {
    await using database = await open()
    const key = { id: 'k0', current: false, sealedValues: 0, createdAt: null, retiredAt: null }
    using test = testApp(database.db)
    test.app.instance.keyStatus = () => Promise.resolve([key])
    const rotation = await test.request('POST', '/api/instance/keys/rotate')
    assert.match(await rotation.text(), /event: end/)
    const retirement = await test.request('POST', '/api/instance/keys/k0/retire')
    assert.equal(retirement.status, 204)
    const events = await eventsOf(test)
    assert.deepEqual(
      events.map(({ action, organization_id }) => [action, organization_id]),
      [
        ['keys.rotated', null],
        ['keys.retired', null],
      ],
    )
    assert.deepEqual(events[0]?.details, { resealed: 1 })
    assert.equal(events[1]?.target?.id, 'k0')
  })
})
