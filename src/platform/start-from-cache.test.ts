import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'

import { runCommand } from '../lib/run-command.ts'

const MODULE = new URL('start-from-cache.ts', import.meta.url).href
const directory = mkdtempSync(join(tmpdir(), 'start-from-cache-'))
after(() => rmSync(directory, { recursive: true, force: true }))

/** Runs a program that says its pid before and after; returns what it printed, with the pid as `pid`. */
async function run(env: Record<string, string>): Promise<string[]> {
  const program = join(directory, 'program.ts')
  writeFileSync(
    program,
    `import { startFromCache } from '${MODULE}'
    console.log(process.pid, 'loaded', process.argv[2])
    await startFromCache()
    console.log(process.pid, 'started', process.env['COMPILE_CACHE_WAS_FILLED'])`,
  )
  const argv = [process.execPath, program, 'control'] as const
  const { exitCode, stdout, stderr } = await runCommand({ argv, env }, { timeoutMs: 20_000 })
  assert.equal(exitCode, 0, stderr)
  const lines = stdout.trim().split('\n')
  const pids = new Set(lines.map((line) => line.split(' ')[0]))
  assert.equal(pids.size, 1, 'it stays the same process for whoever watches it')
  return lines.map((line) => line.replace(/^\d+ /, ''))
}

describe('startFromCache()', () => {
  it('replaces a process that had to strip types, once, and leaves the next one alone', async () => {
    const env = { NODE_COMPILE_CACHE: join(directory, 'cache') }
    const again = ['loaded control', 'loaded control', 'started undefined']
    assert.deepEqual(await run(env), again)
    assert.deepEqual(await run(env), ['loaded control', 'started undefined'])
  })

  it('goes on without a cache, or with one that cannot be written', async () => {
    assert.deepEqual(await run({}), ['loaded control', 'started undefined'])
    const file = join(directory, 'file')
    writeFileSync(file, '')
    const env = { NODE_COMPILE_CACHE: file }
    assert.equal((await run(env)).at(-1), 'started undefined')
  })
})
