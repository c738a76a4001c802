import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

import { installProgram, removeOldPrograms } from './install-program.ts'

describe('installProgram()', () => {
  let home: string
  let options: { dataDirectory: string; checkout: string }

  const write = (path: string, text: string) => {
    const file = join(options.checkout, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { mode: 0o600 })
  }

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'nanoscale-'))
    options = { dataDirectory: join(home, 'data'), checkout: join(home, 'checkout') }
    mkdirSync(join(options.dataDirectory, 'program'), { recursive: true })
    write('package.json', '{}')
    const packages = { '': {}, 'node_modules/zod': {}, 'node_modules/knip': { dev: true } }
    write('package-lock.json', JSON.stringify({ packages }))
    write('src/main.ts', 'start()')
    write('src/main.test.ts', 'test()')
    write('src/http/script.js', 'script()')
    write('node_modules/zod/index.js', 'zod')
    write('node_modules/zod/index.d.ts', 'type')
    write('node_modules/zod/node_modules/other/index.js', 'not in the lock file')
    write('node_modules/knip/index.js', 'knip')
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('copies sources and production packages, readable by all', () => {
    const place = installProgram(options)
    assert.equal(statSync(join(place, 'src/main.ts')).mode & 0o777, 0o644)
    assert.equal(existsSync(join(place, 'src/http/script.js')), true)
    assert.equal(existsSync(join(place, 'node_modules/zod/index.js')), true)
    for (const left of [
      'src/main.test.ts',
      'node_modules/zod/index.d.ts',
      'node_modules/zod/node_modules',
      'node_modules/knip',
    ]) {
      assert.equal(existsSync(join(place, left)), false, left)
    }
  })

  it('gives the same place for the same program and another for another', () => {
    const first = installProgram(options)
    assert.equal(installProgram(options), first)
    write('src/main.ts', 'start(2)')
    assert.notEqual(installProgram(options), first)
  })

  it('leaves nothing half copied behind', () => {
    rmSync(join(options.checkout, 'package.json'))
    assert.throws(() => installProgram(options))
    assert.deepEqual(readdirSync(join(options.dataDirectory, 'program')), [])
  })

  it('removes older copies that nothing runs from', () => {
    installProgram(options)
    write('src/main.ts', 'start(2)')
    const current = installProgram(options)
    removeOldPrograms(options.dataDirectory, current)
    assert.deepEqual(readdirSync(join(options.dataDirectory, 'program')), [
      current.split('/').at(-1),
    ])
  })
})
