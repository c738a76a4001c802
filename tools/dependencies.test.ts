import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

describe('docs/dependencies.md', () => {
  it('has one line for each runtime dependency, in order, and for nothing else', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    const text = readFileSync(join(ROOT, 'docs/dependencies.md'), 'utf8')
    const named = [...text.matchAll(/^- \*\*(.+?)\*\*: \S/gm)].map(([, name]) => name)
    assert.deepEqual(named, Object.keys(dependencies).sort())
  })

  it('versions are exact: what was tested is what runs', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    for (const [name, version] of Object.entries(dependencies)) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name)
    }
  })
})
