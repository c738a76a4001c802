import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { choiceOf, findDrift, isSufficient, needsOf } from './permission-presets.ts'

describe('findDrift()', () => {
  const needs = needsOf('deploy', ['statuses'])

  it('finds nothing when exactly that was granted', () => {
    const drift = findDrift(needs, { permissions: needs.permissions, events: ['push'] })
    assert.deepEqual(drift, { missingPermissions: {}, missingEvents: [], excessPermissions: {} })
    assert.ok(isSufficient(drift))
  })

  it('takes a higher level for a lower one, and says that it is more', () => {
    const permissions = { ...needs.permissions, contents: 'write', administration: 'write' }
    const drift = findDrift(needs, { permissions, events: ['push', 'issues'] })
    assert.ok(isSufficient(drift))
    assert.deepEqual(drift.excessPermissions, { contents: 'write', administration: 'write' })
  })

  it('names what is missing at the level that is needed, and the events', () => {
    const permissions = { metadata: 'read', repository_hooks: 'read', contents: 'strange' }
    const drift = findDrift(needs, { permissions, events: [] })
    assert.ok(!isSufficient(drift))
    const missing = { contents: 'read', repository_hooks: 'write', statuses: 'write' }
    assert.deepEqual(drift.missingPermissions, missing)
    assert.deepEqual(drift.missingEvents, ['push'])
  })
})

describe('choiceOf()', () => {
  it('reads from what was granted by hand what it was made for', () => {
    assert.deepEqual(choiceOf({ contents: 'read' }), { preset: 'least', options: [] })
    const granted = { contents: 'read', repository_hooks: 'write', members: 'read' }
    assert.deepEqual(choiceOf(granted), { preset: 'deploy', options: ['members'] })
  })
})
