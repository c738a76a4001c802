import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { replacePermissions } from './permissions-table.ts'

describe('docs/people-and-access.md', () => {
  it('says who may do what (else run: ./nanoscale exec node tools/write-permissions.ts)', () => {
    const text = readFileSync(join(import.meta.dirname, '../docs/people-and-access.md'), 'utf8')
    assert.equal(text, replacePermissions(text))
  })
})
