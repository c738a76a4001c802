import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { matchesGlob } from './matches-glob.ts'

describe('matchesGlob()', () => {
  it('matches as .gitignore does', () => {
    const cases: [pattern: string, yes: string[], no: string[]][] = [
      ['src/**', ['src/a', 'src/a/b.ts', 'src/.a'], ['src2/a', 'a/src/b']],
      ['src', ['src', 'src/a/b'], ['srca', 'a/src']],
      ['src/', ['src/a', 'src/a/b'], ['srca']],
      ['**/*.ts', ['a.ts', 'a/b/c.ts'], ['a.tsx', 'ats']],
      ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b/c'], ['ab', 'a/xb', 'b']],
      ['*.json', ['package.json'], ['a/package.json', 'json']],
      ['a?c', ['abc', 'a😀c'], ['a/c', 'ac', 'abbc']],
      ['**', ['a', 'a/b/c'], []],
      ['package*.json', ['package.json', 'package-lock.json'], ['package/x.json']],
      ['a+(b)[c].{d}', ['a+(b)[c].{d}'], ['aab', 'acxd']],
    ]
    for (const [pattern, yes, no] of cases) {
      for (const path of yes) assert.ok(matchesGlob(path, pattern), `${pattern} ${path}`)
      for (const path of no) assert.ok(!matchesGlob(path, pattern), `${pattern} ${path}`)
    }
  })

  it('takes no longer for a pattern that means harm', { timeout: 5000 }, () => {
    const path = `${'a'.repeat(200)}/`.repeat(10)
    assert.equal(matchesGlob(path, `${'*a'.repeat(100)}*b`), false)
    assert.equal(matchesGlob('x/'.repeat(500), `${'**/*'.repeat(60)}/b`), false)
  })
})
