import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

import { createRedactor } from '../secrets/redactor.ts'
import { tailLog } from './log-tail.ts'

const MB = 1024 ** 2
const SECRET = 'swordfish-4711'

let directory: string
let path: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'log-tail-'))
  path = join(directory, 'build.log')
  writeFileSync(path, '')
})
afterEach(() => rmSync(directory, { recursive: true }))

function openTail(limits: { headBytes: number; tailBytes: number }) {
  const redactor = createRedactor()
  redactor.add(SECRET)
  let output = ''
  const tail = tailLog({ path, redactor, output: (text) => void (output += text), limits })
  return { tail, output: () => output }
}

describe('tailLog()', () => {
  it('keeps the beginning and the end of 256 MB: neither disk nor output grows with them', async () => {
    const limits = { headBytes: 100_000, tailBytes: 50_000 }
    const { tail: opening, output } = openTail(limits)
    await using tail = await opening
    const line = 'x'.repeat(1023)
    const megabyte = `${line}\n`.repeat(1024)
    appendFileSync(path, 'begin\n')
    let mostOnDisk = 0
    for (let count = 0; count < 256; count++) {
      appendFileSync(path, megabyte)
      mostOnDisk = Math.max(mostOnDisk, statSync(path).size)
      await tail.poll()
    }
    appendFileSync(path, 'last words\n')
    const lastLines = await tail.end()
    assert.ok(mostOnDisk < 10 * MB, `${mostOnDisk} bytes on disk`)
    assert.ok(output().length < limits.headBytes + limits.tailBytes + 100)
    assert.match(output(), /^begin\nx/)
    assert.match(output(), /\n… 256 MB left out …\n[^…]*\nlast words\n$/)
    assert.equal(lastLines.at(-1), 'last words')
  })

  it('G-18 finds a secret across reads, and across the cut at either side', async () => {
    const limits = { headBytes: 1000, tailBytes: 1000 }
    for (let shift = 1; shift < SECRET.length; shift++) {
      writeFileSync(path, '')
      const { tail: opening, output } = openTail(limits)
      await using tail = await opening
      // At the end of the head, and where the kept end begins.
      appendFileSync(path, `${'a'.repeat(1000 - shift)}${SECRET}${'b'.repeat(200_000)}`)
      await tail.poll()
      appendFileSync(path, `${SECRET}${'c'.repeat(1000 - shift)}`)
      await tail.end()
      assert.doesNotMatch(output(), /swordfish|sword(?!fish)|fish-|4711/, `shift ${shift}`)
    }
  })

  it('passes a character on whole when a read cuts it in two', async () => {
    const { tail: opening, output } = openTail({ headBytes: 1000, tailBytes: 1000 })
    await using tail = await opening
    const bytes = Buffer.from('grün 😀\n')
    for (const byte of bytes) {
      appendFileSync(path, Buffer.of(byte))
      await tail.poll()
    }
    await tail.end()
    assert.equal(output(), 'grün 😀\n')
  })
})
