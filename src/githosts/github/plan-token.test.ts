import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Secret } from '../../lib/secret.ts'
import { findExcess, keyOfToken, planToken } from './plan-token.ts'

const APP = {
  integrationId: 'i',
  appId: 1,
  slug: 's',
  clientId: 'c',
  clientSecret: new Secret('x'),
  privateKeys: [],
  apiUrl: 'https://api.github.com',
  webUrl: 'https://github.com',
}
const ORDER = { installationId: 7, repositoryIds: [1, 23], permissions: { contents: 'read' } }
const keyOf = (order: Partial<typeof ORDER>, app: Partial<typeof APP> = {}) =>
  keyOfToken({ ...APP, ...app }, planToken({ ...ORDER, ...order }))

describe('keyOfToken()', () => {
  it('B-10 is equal for the same order however it is written', () => {
    const same = [
      keyOf({ repositoryIds: [23, 1, 23] }),
      keyOf({ permissions: { metadata: 'read', contents: 'read' } as never }),
      keyOf({}),
    ]
    assert.equal(new Set(same).size, 1)
  })

  it('B-10 differs for every other App, host, installation, repository and permission', () => {
    const keys = [
      keyOf({}),
      keyOf({ repositoryIds: [12, 3] }),
      keyOf({ repositoryIds: [1] }),
      keyOf({ installationId: 71 }),
      keyOf({ permissions: { contents: 'write' } }),
      keyOf({ permissions: { contents: 'admin' } }),
      keyOf({ permissions: { statuses: 'read' } as never }),
      keyOf({}, { appId: 17 }),
      keyOf({}, { apiUrl: 'https://github.example.com/api/v3' }),
    ]
    assert.equal(new Set(keys).size, keys.length)
  })
})

describe('findExcess()', () => {
  const plan = planToken(ORDER)
  const given = { permissions: plan.permissions, repositories: [{ id: 1 }] }

  it('accepts what was asked for and less', () => {
    assert.equal(findExcess(plan, given), null)
    assert.equal(findExcess(plan, { ...given, permissions: {} }), null)
  })

  it('B-05 names what is more', () => {
    const wider = { ...plan.permissions, contents: 'write' }
    assert.equal(findExcess(plan, { ...given, permissions: wider }), 'contents:write')
    const other = { ...plan.permissions, issues: 'read' }
    assert.equal(findExcess(plan, { ...given, permissions: other }), 'issues:read')
    const unknown = { ...plan.permissions, contents: 'maintain' }
    assert.equal(findExcess(plan, { ...given, permissions: unknown }), 'contents:maintain')
    const repositories = [{ id: 1 }, { id: 2 }]
    assert.equal(findExcess(plan, { ...given, repositories }), 'the repository 2')
    assert.equal(findExcess(plan, { permissions: {} }), 'all repositories')
    assert.equal(findExcess(plan, { ...given, repository_selection: 'all' }), 'all repositories')
  })
})
