import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { acquireLock } from './lock-file.ts'

describe('acquireLock()', () => {
  const directory = mkdtempSync(join(tmpdir(), 'nanoscale-lock-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

  it('is held by one and free again after it', async () => {
    const path = join(directory, 'one.lock')
    const lock = acquireLock(path)
    assert.ok(lock)
    assert.equal(acquireLock(path), null)
    await lock[Symbol.asyncDispose]()
    const again = acquireLock(path)
    assert.ok(again)
    await again[Symbol.asyncDispose]()
  })

  it('is released by kill -9 of its holder', async () => {
    const path = join(directory, 'killed.lock')
    const program = `
      import { acquireLock } from ${JSON.stringify(join(import.meta.dirname, 'lock-file.ts'))}
      process.stdout.write(acquireLock(${JSON.stringify(path)}) === null ? 'refused' : 'held')
      setInterval(() => {}, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = (await once(holder.stdout, 'data')) as [Buffer]
    assert.equal(said.toString(), 'held')
    assert.equal(acquireLock(path), null)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const lock = acquireLock(path)
    assert.ok(lock)
    await lock[Symbol.asyncDispose]()
  })

  it('refuses a directory that is not there', () => {
    assert.throws(() => acquireLock(join(directory, 'missing', 'x.lock')))
  })
})
