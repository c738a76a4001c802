import assert from 'node:assert/strict'
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { isSameProcessAlive } from '../lib/process-identity.ts'
import {
  BUILD_A,
  BUILD_B,
  BUILD_C,
  LIMITS,
  PLATFORM_USER,
  PROJECT_A,
  countProcesses,
  openTestSpawner,
  skipUnlessRoot,
  until,
} from './_spawner.ts'
import { createLocalSpawner } from './local-spawner.ts'
import type { RunSpec } from './spawner.ts'

const ENVIRONMENT = { PATH: '/usr/bin:/bin' }

/** Each shell forks until it cannot, and then becomes a new one. */
const FORK_BOMB = `
printf '%s' 'trap "exec sh ./bomb" EXIT; while :; do sh ./bomb & done 2>/dev/null' >bomb
echo up
exec sh ./bomb 2>/dev/null`

function runSpec(id: string, script: string): RunSpec {
  return {
    unit: `run-${id}`,
    account: BUILD_A,
    argv: ['sh', '-c', script],
    env: ENVIRONMENT,
    directory: { area: 'builds', id },
    limits: LIMITS,
    timeoutMs: 5000,
  }
}

describe('createLocalSpawner().start()', skipUnlessRoot, () => {
  it('runs as the account, without privileges, in its own session', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(
      BUILD_A,
      'id -u; id -g; id -G; grep -E "CapEff|NoNewPrivs" /proc/self/status; ulimit -n',
    )
    assert.deepEqual(await test.spawner.exited(ref), { exitCode: 0, exitSignal: null })
    const uid = String(test.uidOf(BUILD_A))
    assert.deepEqual((await test.logOf(ref)).split(/\s+/), [
      uid,
      uid,
      uid,
      'CapEff:',
      '0000000000000000',
      'NoNewPrivs:',
      '1',
      '256',
      '',
    ])
  })

  it('D-01 passes values byte-exact and nothing of our own environment', async () => {
    await using test = await openTestSpawner()
    const odd = `a'b"c\nd$HOME;\`id\` \\ é`
    process.env['NANOSCALE_TEST_LEAK'] = 'leaked'
    const ref = await test.start(BUILD_A, 'tr "\\0" "\\n" </proc/self/environ', {
      env: { ODD: odd },
    })
    await test.spawner.exited(ref)
    delete process.env['NANOSCALE_TEST_LEAK']
    const names = (await test.logOf(ref)).replace(odd, 'same').split('\n').sort()
    assert.deepEqual(
      names.filter((line) => !line.startsWith('PWD=')),
      ['', `NANOSCALE_UNIT=${ref.unit}`, 'ODD=same', 'PATH=/usr/bin:/bin'],
    )
  })

  it('answers a second start of a living unit with the same process', async () => {
    await using test = await openTestSpawner()
    const [first, second] = await Promise.all([
      test.start(BUILD_A, 'sleep 60', { unit: 'twice' }),
      test.start(BUILD_A, 'sleep 60', { unit: 'twice' }),
    ])
    assert.deepEqual(first, second)
    assert.deepEqual(await test.start(BUILD_A, 'sleep 60', { unit: 'twice' }), first)
    const { dataDirectory, accounts } = test
    const options = { dataDirectory, accounts, platformUser: PLATFORM_USER, clock: systemClock }
    await using later = createLocalSpawner(options)
    const spec = { ...runSpec('twice', 'sleep 60'), unit: 'twice', log: 'twice.log' }
    assert.deepEqual(await later.start(spec), first)
  })

  it('writes the log as the platform user alone, and follows no link', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(BUILD_A, 'echo hello; : >/proc/self/fd/1')
    await test.spawner.exited(ref)
    const facts = await stat(join(test.dataDirectory, 'logs', `${ref.unit}.log`))
    assert.equal(facts.mode & 0o777, 0o600)
    assert.equal(facts.uid, PLATFORM_USER.uid)
    assert.match(await test.logOf(ref), /denied/)
    const secret = join(test.dataDirectory, 'secret')
    await writeFile(secret, 'untouched')
    await symlink(secret, join(test.dataDirectory, 'logs', 'planted.log'))
    await assert.rejects(test.start(BUILD_A, 'echo overwritten', { unit: 'planted' }), (error) =>
      isOperationError(error, 'spawner.invalid_log'),
    )
    assert.equal(await readFile(secret, 'utf8'), 'untouched')
  })

  it('D-05 keeps a build from keys, database and the workspace of another build', async () => {
    await using test = await openTestSpawner()
    for (const name of ['keys', 'database']) {
      await mkdir(join(test.dataDirectory, name), { mode: 0o700 })
      await writeFile(join(test.dataDirectory, name, 'file'), 'private')
    }
    const other = await test.start(BUILD_B, 'echo private >file; sleep 60')
    const { dataDirectory } = test
    const ref = await test.start(
      BUILD_A,
      `cat ${dataDirectory}/keys/file ${dataDirectory}/database/file ${dataDirectory}/builds/${other.unit}/file; ls ${dataDirectory}; cat /proc/${other.pid}/environ; kill -9 ${other.pid}`,
    )
    await test.spawner.exited(ref)
    assert.doesNotMatch(await test.logOf(ref), /private\n|NANOSCALE_UNIT/)
    assert.equal(await test.spawner.isAlive(other), true)
  })

  it('does not enter a directory that only root could', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(BUILD_A, 'ln -s /root escape')
    await test.spawner.exited(ref)
    const spec = runSpec(ref.unit, 'pwd')
    const result = await test.spawner.run({
      ...spec,
      directory: { ...spec.directory, path: 'escape' },
    })
    assert.equal(result.exitCode, 125)
  })
})

describe('createLocalSpawner().run()', skipUnlessRoot, () => {
  it('gives input and output, and ends what was left behind', async () => {
    await using test = await openTestSpawner()
    await test.spawner.makeDirectory({ area: 'builds', id: 'b1' }, BUILD_A)
    const spec = runSpec('b1', 'cat; echo no >&2; sleep 60 & setsid sleep 60 & exit 3')
    const result = await test.spawner.run({ ...spec, stdin: 'hello' })
    assert.deepEqual(result, {
      exitCode: 3,
      exitSignal: null,
      stdout: 'hello',
      stderr: 'no\n',
      truncated: false,
    })
    assert.equal(countProcesses(test.uidOf(BUILD_A)), 0)
  })

  it('ends at its deadline and when it is aborted', async () => {
    await using test = await openTestSpawner()
    await test.spawner.makeDirectory({ area: 'builds', id: 'b1' }, BUILD_A)
    await assert.rejects(
      test.spawner.run({ ...runSpec('b1', 'sleep 60 & sleep 60'), timeoutMs: 50 }),
      (error) => isOperationError(error, 'command.timed_out'),
    )
    const abort = new AbortController()
    const running = test.spawner.run(runSpec('b1', 'sleep 60'), abort.signal)
    abort.abort(new Error('not wanted'))
    await assert.rejects(running, /not wanted/)
    assert.equal(countProcesses(test.uidOf(BUILD_A)), 0)
  })
})

describe('createLocalSpawner().stop()', skipUnlessRoot, () => {
  it('lets an app end by itself', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(
      PROJECT_A,
      'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.01; done',
    )
    await test.waitForLog(ref, 'up')
    await test.spawner.stop(ref, { graceMs: 5000 })
    assert.deepEqual(await test.spawner.exited(ref), { exitCode: 0, exitSignal: null })
    assert.match(await test.logOf(ref), /bye/)
  })

  it('kills an app that ignores SIGTERM, with what it moved to other sessions', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(
      PROJECT_A,
      'trap "" TERM; setsid sleep 60 & (env -i sleep 60 &) ; echo up; while :; do sleep 0.01; done',
    )
    await test.waitForLog(ref, 'up')
    await test.spawner.stop(ref, { graceMs: 50 })
    assert.deepEqual(await test.spawner.exited(ref), { exitCode: null, exitSignal: 'SIGKILL' })
    assert.equal(countProcesses(test.uidOf(PROJECT_A)), 0)
  })

  it('leaves other units of the same project alone', async () => {
    await using test = await openTestSpawner()
    const old = await test.start(PROJECT_A, 'sleep 60')
    const fresh = await test.start(PROJECT_A, 'sleep 60')
    await test.spawner.stop(old, { graceMs: 1000 })
    assert.equal(await test.spawner.isAlive(old), false)
    assert.equal(await test.spawner.isAlive(fresh), true)
  })

  it('D-05 ends a fork bomb of an app, and no other unit of the project', async () => {
    await using test = await openTestSpawner()
    const other = await test.start(PROJECT_A, 'exec sleep 60')
    const bomb = await test.start(PROJECT_A, FORK_BOMB)
    await until(() => countProcesses(test.uidOf(PROJECT_A)) > LIMITS.maxProcesses / 2, 'the bomb')
    await test.spawner.stop(bomb, { graceMs: 0 })
    assert.equal(countProcesses(test.uidOf(PROJECT_A)), 1)
    assert.equal(await test.spawner.isAlive(other), true)
  })

  it('never signals what is no account of ours, whatever the reference says', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(PROJECT_A, 'sleep 60')
    await test.spawner.stop({ ...ref, pid: process.pid, unit: 'forged' }, { graceMs: 10 })
    assert.equal(await test.spawner.isAlive(ref), true)
  })
})

describe('createLocalSpawner().endAccount()', skipUnlessRoot, () => {
  it('D-05 ends a fork bomb, which its limit has bounded', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(BUILD_A, FORK_BOMB)
    await test.waitForLog(ref, 'up')
    await until(() => countProcesses(test.uidOf(BUILD_A)) > LIMITS.maxProcesses / 2, 'the bomb')
    assert.ok(countProcesses(test.uidOf(BUILD_A)) <= LIMITS.maxProcesses)
    await test.spawner.endAccount(BUILD_A)
    assert.equal(countProcesses(test.uidOf(BUILD_A)), 0)
    assert.deepEqual(await test.spawner.exited(ref), { exitCode: null, exitSignal: 'SIGKILL' })
  })

  it('D-05 ends daemonised children and those that emptied their environment', async () => {
    await using test = await openTestSpawner()
    const ref = await test.start(
      BUILD_A,
      '(setsid env -i /usr/bin/sleep 60 >/dev/null 2>&1 &); (setsid sleep 60 &); exit 0',
    )
    await test.spawner.exited(ref)
    await test.spawner.endAccount(BUILD_A)
    assert.equal(countProcesses(test.uidOf(BUILD_A)), 0)
  })

  it('D-05 ends a process that kills all of its own account without pause, and nobody else is hurt', async () => {
    await using test = await openTestSpawner()
    const neighbour = await test.start(BUILD_B, 'sleep 60')
    const ref = await test.start(
      BUILD_A,
      'trap "" TERM; echo up; while :; do kill -9 -1; done 2>/dev/null',
    )
    await test.waitForLog(ref, 'up')
    await test.spawner.endAccount(BUILD_A)
    assert.equal(countProcesses(test.uidOf(BUILD_A)), 0)
    assert.equal(await test.spawner.isAlive(neighbour), true)
  })

  it('D-06 leaves the build of another account alive, also when several end at once', async () => {
    await using test = await openTestSpawner()
    const a = await test.start(BUILD_A, 'sleep 60')
    const b = await test.start(BUILD_B, 'sleep 60')
    const c = await test.start(BUILD_C, 'sleep 60')
    await Promise.all([test.spawner.endAccount(BUILD_A), test.spawner.endAccount(BUILD_B)])
    assert.deepEqual([a, b, c].map(isSameProcessAlive), [false, false, true])
  })
})
