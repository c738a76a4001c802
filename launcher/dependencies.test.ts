import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { hasDependencies } from './dependencies.js'

type Packages = Record<string, object>

const ZOD = { version: '4.0.0', integrity: 'sha512-a' }
const KNIP = { version: '6.0.0', integrity: 'sha512-b' }
const LOCK = {
  '': {},
  'node_modules/zod': ZOD,
  'node_modules/knip': { ...KNIP, dev: true },
  'node_modules/binding-darwin': { version: '1.0.0', optional: true },
}

function isSatisfied(installed: Packages | null, mode: 'production' | 'development'): boolean {
  const checkout = mkdtempSync(join(tmpdir(), 'nanoscale-'))
  try {
    writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify({ packages: LOCK }))
    if (installed !== null) {
      mkdirSync(join(checkout, 'node_modules'))
      const file = join(checkout, 'node_modules', '.package-lock.json')
      writeFileSync(file, JSON.stringify({ packages: installed }))
    }
    return hasDependencies(checkout, mode)
  } finally {
    rmSync(checkout, { recursive: true })
  }
}

describe('hasDependencies()', () => {
  it('is false on a fresh clone', () => assert.equal(isSatisfied(null, 'production'), false))

  it('takes production packages for enough to run, and not to develop', () => {
    const installed = { 'node_modules/zod': ZOD }
    assert.equal(isSatisfied(installed, 'production'), true)
    assert.equal(isSatisfied(installed, 'development'), false)
  })

  it('takes a full installation for enough to run', () => {
    const installed = { 'node_modules/zod': ZOD, 'node_modules/knip': KNIP }
    assert.equal(isSatisfied(installed, 'production'), true)
    assert.equal(isSatisfied(installed, 'development'), true)
  })

  it('notices another version and another content', () => {
    const older = { 'node_modules/zod': { ...ZOD, version: '3.9.0' } }
    const changed = { 'node_modules/zod': { ...ZOD, integrity: 'sha512-c' } }
    assert.equal(isSatisfied(older, 'production'), false)
    assert.equal(isSatisfied(changed, 'production'), false)
  })
})
