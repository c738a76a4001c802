import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { newId } from '../lib/ids.ts'
import { parseRepositoryUrl } from './repository-url.ts'
import { runGit, runRemoteGit } from './run-git.ts'

const SITE = {
  account: { kind: 'build', slot: 0 },
  place: { area: 'mirrors', id: 'm' },
} as const

interface Exit {
  exitCode: number | null
  exitSignal: string | null
}

function spawnerThatEndsWith(exit: Exit) {
  return { run: async () => ({ ...exit, stdout: '', stderr: '', truncated: false }) }
}

function endsWith(exit: Exit) {
  const spawner = spawnerThatEndsWith(exit)
  const run = { gitDirectory: '.', args: ['rev-parse', 'HEAD'] }
  return runGit({ spawner, newId } as never, SITE, run, AbortSignal.timeout(1000))
}

describe('runGit()', () => {
  it('gives a non-zero exit back as a result', async () => {
    assert.equal((await endsWith({ exitCode: 128, exitSignal: null })).exitCode, 128)
  })

  it('throws when git was killed: the machine is to blame, not the repository', async () => {
    await assert.rejects(endsWith({ exitCode: null, exitSignal: 'SIGKILL' }), {
      code: 'source.git_killed',
    })
  })
})

describe('runRemoteGit()', () => {
  it('G-13 says that a repository is too large when the kernel ended git for that', async () => {
    const spawner = spawnerThatEndsWith({ exitCode: null, exitSignal: 'SIGXFSZ' })
    const repository = parseRepositoryUrl('https://github.com/a/b', ['github.com'])
    const remote = { repository, addresses: ['192.0.2.1'], credential: null }
    const run = { gitDirectory: '.', args: ['fetch'], remote, timeoutMs: 1000 }
    const done = runRemoteGit({ spawner, newId } as never, SITE, run, AbortSignal.timeout(1000))
    await assert.rejects(done, { code: 'source.refused', message: /larger than a mirror may be/ })
  })
})
