import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { PERMISSIONS, ROLES, type Permission, type RoleName } from '../contract/permissions.ts'
import { allows } from './may.ts'
import type { Principal } from './principal.ts'

const membership = (role: RoleName) => ({
  organizationId: 'o',
  role,
  reach: { kind: 'all' as const },
})

function person(role: RoleName | null): Principal {
  return {
    kind: 'user',
    userId: 'u',
    name: 'Ada',
    email: 'ada@example.com',
    via: { kind: 'clerk' },
    membership: role === null ? null : membership(role),
  }
}

function token(role: RoleName, scopes: string[]): Principal {
  return {
    kind: 'token',
    tokenId: 't',
    tokenName: 't',
    userId: 'u',
    scopes,
    membership: membership(role),
  }
}

const operator: Principal = { kind: 'operator', membership: membership('owner') }
const row = (who: Permission['who'], scope: Permission['scope'] = null): Permission => ({
  who,
  scope,
  subject: null,
})

describe('allows()', () => {
  it('lets each role do all that the ones before it may, and no more', () => {
    for (const [needed, who] of ROLES.entries()) {
      for (const [has, role] of ROLES.entries()) {
        const expected = has >= needed ? 'yes' : 'forbidden'
        assert.equal(allows(row(who), person(role)), expected, `${role} for ${who}`)
      }
      assert.equal(allows(row(who), person(null)), 'forbidden')
      assert.equal(allows(row(who), operator), 'yes')
      assert.equal(allows(row(who), null), 'unauthenticated')
    }
  })

  it('gives a token what its maker may, as far as its scopes go', () => {
    const needed = row('member', 'projects:write')
    assert.equal(allows(needed, token('member', ['projects:write'])), 'yes')
    assert.equal(allows(needed, token('member', ['*'])), 'yes')
    assert.equal(allows(needed, token('member', ['projects:read'])), 'forbidden')
    assert.equal(allows(needed, token('member', [])), 'forbidden')
    assert.equal(allows(needed, token('viewer', ['*'])), 'forbidden')
  })

  it('tells people, programs and the operator apart', () => {
    const all = [person('owner'), person(null), token('owner', ['*']), operator]
    const verdicts = (who: Permission['who']) => all.map((one) => allows(row(who), one) === 'yes')
    assert.deepEqual(verdicts('everyone'), [true, true, true, true])
    assert.deepEqual(verdicts('signedIn'), [true, true, true, true])
    assert.deepEqual(verdicts('person'), [true, true, false, false])
    assert.deepEqual(verdicts('operator'), [false, false, false, true])
    assert.equal(allows(row('everyone'), null), 'yes')
    assert.equal(allows(row('signedIn'), null), 'unauthenticated')
  })
})

describe('PERMISSIONS', () => {
  it('asks a scope of tokens for everything that a role may do', () => {
    const roles: readonly string[] = ROLES
    const without = Object.entries<Permission>(PERMISSIONS)
      .filter(([, { who, scope }]) => roles.includes(who) && scope === null)
      .map(([id]) => id)
    assert.deepEqual(without, [])
  })
})
