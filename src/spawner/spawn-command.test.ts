import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { accountCommand, limitCeilingsOf, ownerCommand } from './spawn-command.ts'

const TOOLS = {
  setpriv: '/usr/bin/setpriv',
  prlimit: '/usr/bin/prlimit',
  env: '/usr/bin/env',
  rm: '/usr/bin/rm',
  du: '/usr/bin/du',
  chmod: '/usr/bin/chmod',
}
const SPEC = {
  user: { uid: 200_003, gid: 200_003 },
  argv: ['npm', 'run', 'build'] as const,
  env: { PATH: '/usr/bin' },
  directory: '/data/builds/b1',
  limits: { maxProcesses: 100, maxOpenFiles: 1024 },
  unit: 'build-1',
}
const NO_CEILINGS = {
  maxProcesses: Infinity,
  maxOpenFiles: Infinity,
  maxFileBytes: Infinity,
  maxDataBytes: Infinity,
}

describe('accountCommand()', () => {
  it('limits the command, refuses new privileges and enters the directory as the account', () => {
    assert.deepEqual(accountCommand(TOOLS, { ...SPEC, argv: ['npm', 'ci'] }, NO_CEILINGS), {
      argv: [
        '/usr/bin/setpriv',
        '--inh-caps=-all',
        '--no-new-privs',
        '--',
        '/usr/bin/prlimit',
        '--nproc=100',
        '--nofile=1024',
        '--core=0',
        '--',
        '/usr/bin/env',
        '--chdir=/data/builds/b1',
        '--',
        'npm',
        'ci',
      ],
      env: { PATH: '/usr/bin', NANOSCALE_UNIT: 'build-1' },
      user: { uid: 200_003, gid: 200_003 },
    })
  })

  it('keeps what the loader obeys from everything but the command itself', () => {
    const env = { PATH: '/usr/bin', LD_PRELOAD: './x.so', LANGUAGE: '../x', SECRET: 's' }
    const command = accountCommand(TOOLS, { ...SPEC, argv: ['app'], env }, NO_CEILINGS)
    assert.deepEqual(command.env, { PATH: '/usr/bin', SECRET: 's', NANOSCALE_UNIT: 'build-1' })
    assert.deepEqual(command.argv.slice(-4), ['--', 'LD_PRELOAD=./x.so', 'LANGUAGE=../x', 'app'])
  })

  it('C-10 shows no secret on the command line because its name begins as a loader variable', () => {
    const env = { LANGFUSE_SECRET_KEY: 's', LD_SDK_KEY: 's', TZ_TOKEN: 's', LC_TOKEN: 's' }
    const command = accountCommand(TOOLS, { ...SPEC, env }, NO_CEILINGS)
    assert.deepEqual(command.env, { ...env, NANOSCALE_UNIT: 'build-1' })
    assert.doesNotMatch(command.argv.join(' '), /=s/)
  })

  it('never asks for more than the spawner may give', () => {
    const limits = {
      maxProcesses: 100,
      maxOpenFiles: 100_000,
      maxFileBytes: 5000,
      maxDataBytes: 800,
    }
    const ceilings = {
      maxProcesses: 50,
      maxOpenFiles: 20_000,
      maxFileBytes: 6000,
      maxDataBytes: 900,
    }
    const { argv } = accountCommand(TOOLS, { ...SPEC, argv: ['a'], limits }, ceilings)
    assert.deepEqual(argv.slice(5, 10), [
      '--nproc=50',
      '--nofile=20000',
      '--fsize=5000',
      '--data=800',
      '--core=0',
    ])
  })

  it('does not let a command name a unit of its own', () => {
    const env = { NANOSCALE_UNIT: 'other' }
    const command = accountCommand(TOOLS, { ...SPEC, argv: ['a'], env }, NO_CEILINGS)
    assert.equal(command.env['NANOSCALE_UNIT'], 'build-1')
  })
})

describe('ownerCommand()', () => {
  it('drops everything before it becomes the owner', () => {
    assert.deepEqual(ownerCommand(TOOLS, { uid: 1, gid: 2 }, ['/usr/bin/rm', '-rf', '--', '/x']), [
      '/usr/bin/setpriv',
      '--reuid=1',
      '--regid=2',
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
      '--inh-caps=-all',
      '--',
      '/usr/bin/rm',
      '-rf',
      '--',
      '/x',
    ])
  })
})

describe('limitCeilingsOf()', () => {
  it('reads the hard limits', () => {
    const text = [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max data size             unlimited            unlimited            bytes     ',
      'Max file size             unlimited            unlimited            bytes     ',
      'Max processes             96365                96366                processes ',
      'Max open files            1024                 20000                files     ',
    ].join('\n')
    assert.deepEqual(limitCeilingsOf(text), {
      maxProcesses: 96_366,
      maxOpenFiles: 20_000,
      maxFileBytes: Infinity,
      maxDataBytes: Infinity,
    })
  })
})
