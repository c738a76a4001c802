import assert from 'node:assert/strict'
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

import { createFileAtomically, writeFileAtomically } from './write-file-atomically.ts'

const isRoot = process.getuid?.() === 0
let directory: string
const at = (name: string) => join(directory, name)

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'write-file-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

describe('writeFileAtomically()', () => {
  it('makes and replaces a file that only its owner may read, and leaves nothing beside it', async () => {
    await writeFileAtomically(at('a'), 'one')
    await writeFileAtomically(at('a'), 'two')
    assert.equal(readFileSync(at('a'), 'utf8'), 'two')
    assert.equal(statSync(at('a')).mode & 0o777, 0o600)
    await Promise.all(['x', 'y', 'z'].map((text) => writeFileAtomically(at('a'), text)))
    assert.match(readFileSync(at('a'), 'utf8'), /^[xyz]$/)
    assert.deepEqual(readdirSync(directory), ['a'])
  })

  it('replaces a link and not what it points to', async () => {
    writeFileSync(at('target'), 'kept')
    symlinkSync('target', at('a'))
    await writeFileAtomically(at('a'), 'new', { mode: 0o640 })
    assert.equal(readFileSync(at('target'), 'utf8'), 'kept')
    assert.equal(readFileSync(at('a'), 'utf8'), 'new')
  })

  it('leaves nothing behind when it fails', async () => {
    mkdirSync(at('a'))
    await assert.rejects(writeFileAtomically(at('a'), 'x'))
    assert.deepEqual(readdirSync(directory), ['a'])
  })

  it('gives the file to the owner of its directory', { skip: !isRoot && 'not root' }, async () => {
    chownSync(directory, 12_345, 12_346)
    await writeFileAtomically(at('a'), 'x', { ownedAsDirectory: true })
    const { uid, gid } = statSync(at('a'))
    assert.deepEqual([uid, gid], [12_345, 12_346])
  })
})

describe('createFileAtomically()', () => {
  it('makes a file once, whoever else tries', async () => {
    const made = await Promise.all(
      ['x', 'y', 'z'].map((text) => createFileAtomically(at('a'), text)),
    )
    assert.equal(made.filter(Boolean).length, 1)
    assert.equal(await createFileAtomically(at('a'), 'late'), false)
    assert.match(readFileSync(at('a'), 'utf8'), /^[xyz]$/)
    assert.deepEqual(readdirSync(directory), ['a'])
  })
})
