import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { newId } from '../lib/ids.ts'
import { runGit } from './run-git.ts'

const SITE = {
  account: { kind: 'build', slot: 0 },
  place: { area: 'mirrors', id: 'm' },
} as const

function endsWith(exit: { exitCode: number | null; exitSignal: string | null }) {
  const spawner = { run: async () => ({ ...exit, stdout: '', stderr: '', truncated: false }) }
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
