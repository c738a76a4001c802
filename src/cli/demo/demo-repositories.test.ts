import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'

import { runCommand } from '../../lib/run-command.ts'
import { serveDemoRepositories } from './demo-repositories.ts'

describe('serveDemoRepositories()', () => {
  it('serves the files of a directory, and each push of them', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'demo-repositories-'))
    try {
      const example = path.join(directory, 'example')
      await mkdir(example)
      await writeFile(path.join(example, 'page.txt'), 'one')
      await using repositories = await serveDemoRepositories(path.join(directory, 'git'))
      const repository = await repositories.create('site', example)
      assert.ok(repository.url.includes(repositories.hostEntry.replace('@private', '')))

      await writeFile(path.join(repository.workTree, 'page.txt'), 'two')
      const sha = await repository.push('Second')
      const clone = path.join(directory, 'clone')
      const { exitCode, stderr } = await runCommand(
        { argv: ['git', 'clone', '--quiet', repository.url, clone], env: gitEnvironment() },
        { timeoutMs: 10_000 },
      )
      assert.equal(exitCode, 0, stderr)
      assert.equal(await readFile(path.join(clone, 'page.txt'), 'utf8'), 'two')
      const head = await readFile(path.join(clone, '.git/refs/heads/main'), 'utf8')
      assert.equal(head.trim(), sha)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})

function gitEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', GIT_CONFIG_NOSYSTEM: '1' }
}
