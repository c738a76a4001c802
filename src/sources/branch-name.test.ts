import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { runCommand } from '../lib/run-command.ts'
import { requireBranchName } from './branch-name.ts'

const NAMES = [
  'main',
  'feat/x',
  '$(id)',
  ';id',
  '`id`',
  'a&b',
  'feat/ünïcödé',
  '@x',
  'ｍain',
  'refs/heads/x',
  'a b',
  'a\nb',
  'a..b',
  'a@{b',
  '.a',
  'a/.b',
  'a.lock',
  'a.lock/b',
  'a/',
  '/a',
  'a//b',
  'a.',

  '-x',
  '--upload-pack=touch /tmp/p',
  '-c',
  '@',
  'HEAD',
  'a~1',
  'a^',
  'a:b',
  'a?',
  'a*',
  'a[b',
  'a\\b',
  '',
  'a\x7f',
  'a\u0085b',
]

describe('requireBranchName()', () => {
  it('G-01 accepts exactly what git accepts', async () => {
    for (const name of NAMES) {
      const argv = ['git', 'check-ref-format', '--branch', name] as const
      const env = { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8' }
      const { exitCode } = await runCommand({ argv, env }, { timeoutMs: 5000 })
      let accepted = true
      try {
        assert.equal(requireBranchName(name), name)
      } catch {
        accepted = false
      }
      assert.equal(accepted, exitCode === 0, JSON.stringify(name))
    }
  })

  it('caps the length', () => {
    assert.equal(requireBranchName('a'.repeat(244)).length, 244)
    assert.throws(() => requireBranchName('a'.repeat(245)))
  })
})
