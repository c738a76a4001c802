import assert from 'node:assert/strict'
import { chown, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { createUnitListens } from '../lib/unit-sockets.ts'
import { BUILD_A, BUILD_B, LIMITS, PROJECT_A, isRoot, until } from './_spawner.ts'
import { mayReadCheckout, openUnprivilegedSpawner } from './_unprivileged.ts'
import type { ProcessRef, RunSpec } from './spawner.ts'

const UID = isRoot ? 199_991 : (process.getuid?.() ?? 0)

const skip = await whyNot()
const FORK_BOMB = `
printf '%s' 'trap "exec sh ./bomb" EXIT; while :; do sh ./bomb & done 2>/dev/null' >bomb
echo up
exec sh ./bomb 2>/dev/null`

async function whyNot(): Promise<{ skip?: string }> {
  if (!mayReadCheckout(UID)) return { skip: `uid ${UID} may not read this checkout` }
  await using test = await openUnprivilegedSpawner(UID)
  const isolation = await test.spawner.isolation()
  return isolation === 'namespaces'
    ? {}
    : { skip: 'needs user namespaces, which this machine refuses' }
}

function runSpec(id: string, script: string): RunSpec {
  return {
    unit: `run-${id}`,
    account: BUILD_A,
    argv: ['sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    directory: { area: 'builds', id },
    limits: LIMITS,
    timeoutMs: 10_000,
  }
}

describe('createLocalSpawner() without root', skip, () => {
  it('D-05 hides keys, database, home and other places from a build', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const { dataDirectory, home } = test
    for (const name of ['keys', 'database', 'traffic', 'logs', 'run']) {
      await writeFile(join(dataDirectory, name, 'file'), 'private')
      await chown(join(dataDirectory, name, 'file'), UID, UID)
    }
    const other = await test.start(PROJECT_A, 'echo private >file; sleep 60')
    const build = await test.start(
      BUILD_A,
      `cat ${dataDirectory}/*/file ${dataDirectory}/*/*/file ${home}/.npmrc /proc/*/environ | tr '\\0' '\\n';
      cat /proc/${other.pid}/environ; kill -9 ${other.pid} -1; ls -a ${dataDirectory} ${dataDirectory}/builds /run`,
    )
    await test.spawner.exited(build)
    const seen = await test.logOf(build)
    assert.doesNotMatch(seen, /private/)
    assert.doesNotMatch(seen, /keys$|database$|apps$|logs$/m)
    assert.equal(await test.spawner.isAlive(other), true)
  })

  it('D-05 keeps everything but its own place from being written, and the mounts from being undone', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const { dataDirectory, home } = test
    await mkdir(join(dataDirectory, 'toolchain', 'bin'))
    await chown(join(dataDirectory, 'toolchain', 'bin'), UID, UID)
    const build = await test.start(
      BUILD_A,
      `touch own; touch ${dataDirectory}/toolchain/bin/node ${home}/x
      umount ${dataDirectory}; umount /tmp; umount -l /proc
      unshare --user --map-root-user --mount umount /tmp
      unshare --user --map-root-user --mount mount -o remount,bind,rw none ${dataDirectory}/toolchain
      nsenter --target 1 --mount true && echo entered
      cat /proc/1/environ && echo read
      grep -E "CapEff|NoNewPrivs" /proc/self/status; id -u`,
    )
    await test.spawner.exited(build)
    const seen = await test.logOf(build)
    assert.doesNotMatch(seen, /entered|^read/m)
    assert.match(seen, /CapEff:\t0+\nNoNewPrivs:\t1\n/)
    assert.match(seen, new RegExp(`^${UID}$`, 'm'))
    assert.deepEqual(await readdir(join(dataDirectory, 'builds', build.unit)), ['own'])
    assert.deepEqual(await readdir(join(dataDirectory, 'toolchain', 'bin')), [])
    assert.deepEqual(await readdir(home), ['.npmrc', 'data'])
  })

  it('gives a build devices that belong to nobody, and terminals of its own', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const build = await test.start(
      BUILD_A,
      `ls /dev /dev/pts; echo lost >/dev/null; head -c 4 /dev/urandom | wc -c; echo kept >>/dev/stdout
      script --quiet --command 'tty' /dev/null </dev/null`,
    )
    await test.spawner.exited(build)
    const words = (await test.logOf(build)).split(/\s+/)
    const devices = 'fd full null ptmx pts random shm stderr stdin stdout urandom zero'
    assert.deepEqual(words, `/dev: ${devices} /dev/pts: ptmx 4 kept /dev/pts/0 `.split(' '))
  })

  it('shows a mirror and what a project keeps to those that name them', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const { spawner } = test
    await spawner.makeDirectory({ area: 'builds', id: 'b1' }, BUILD_A)
    await spawner.makeDirectory({ area: 'mirrors', id: 'm1' }, BUILD_A)
    await spawner.makeDirectory({ area: 'apps', id: 'p1' }, PROJECT_A)
    const without = await spawner.run(runSpec('b1', 'ls ../..'))
    assert.deepEqual(without.stdout.split('\n'), ['builds', 'toolchain', ''])
    const named = await spawner.run({
      ...runSpec('b1', 'touch ../../mirrors/m1/x ../../apps/p1/x; ls ../..'),
      mirror: 'm1',
      app: 'p1',
    })
    assert.deepEqual(named, {
      exitCode: 0,
      exitSignal: null,
      stdout: 'apps\nbuilds\nmirrors\ntoolchain\n',
      stderr: '',
      truncated: false,
    })
  })

  it('D-01 passes input, odd variables, exit codes and signals through', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    await test.spawner.makeDirectory({ area: 'builds', id: 'b1' }, BUILD_A)
    const odd = `a'b"c\nd$HOME;\`id\` \\ é`
    const variables = { 'npm_config_//host/:_token': 'x', ODD: odd, LD_ODD: '', IFS: 'a' }
    const spec = runSpec('b1', 'cat; tr "\\0" "|" </proc/self/environ; exit 7')
    const argv = ['cat', '/proc/self/environ', '-'] as const
    const env = { ...spec.env, ...variables }
    const shown = await test.spawner.run({ ...spec, argv, env, stdin: 'input' })
    const lines = shown.stdout.split('\0')
    for (const [name, value] of Object.entries(variables)) {
      assert.ok(lines.includes(`${name}=${value}`), `${name} is not in ${shown.stdout}`)
    }
    assert.equal(lines.at(-1), 'input')
    assert.equal((await test.spawner.run(spec)).exitCode, 7)
    assert.deepEqual(await test.spawner.run(runSpec('b1', 'kill -SEGV $$')), {
      exitCode: null,
      exitSignal: 'SIGSEGV',
      stdout: '',
      stderr: '',
      truncated: false,
    })
  })

  it('lets an app end by itself, also after another spawner took over', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const script = 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.01; done'
    const first = await test.start(PROJECT_A, script)
    const second = await test.start(PROJECT_A, script)
    await test.waitForLog(first, 'up')
    await test.waitForLog(second, 'up')
    await test.spawner.stop(first, { graceMs: 5000 })
    assert.deepEqual(await test.spawner.exited(first), { exitCode: 0, exitSignal: null })
    await test.restart()
    assert.equal(await test.spawner.isAlive(second), true)
    await test.spawner.stop(second, { graceMs: 5000 })
    assert.deepEqual(await test.spawner.exited(second), { exitCode: null, exitSignal: null })
    assert.match(await test.logOf(first), /bye/)
    assert.match(await test.logOf(second), /bye/)
    // The kernel takes a moment to clear away what is dead.
    await until(() => test.processes().length === 0, 'everything to be gone')
  })

  it('ends an app that has no handler for SIGTERM', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const ref = await test.start(PROJECT_A, 'echo up; exec sleep 60')
    await test.waitForLog(ref, 'up')
    await test.spawner.stop(ref, { graceMs: 5000 })
    assert.deepEqual(await test.spawner.exited(ref), { exitCode: null, exitSignal: 'SIGTERM' })
  })

  it('D-05 ends daemonised children, of a build that an earlier spawner started too', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const script = '(setsid env -i /usr/bin/sleep 60 &); setsid -f sleep 60; echo up; sleep 60'
    const mine = await test.start(BUILD_A, script)
    const other = await test.start(BUILD_B, 'sleep 60')
    await test.waitForLog(mine, 'up')
    await test.restart()
    await test.spawner.endAccount(BUILD_A)
    assert.equal(await test.spawner.isAlive(mine), false)
    assert.equal(await test.spawner.isAlive(other), true)
    await test.spawner.endAccount(BUILD_B)
    // The kernel takes a moment to clear away what is dead.
    await until(() => test.processes().length === 0, 'everything to be gone')
  })

  it('D-05 bounds and ends a fork bomb', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const bomb = await test.start(BUILD_A, FORK_BOMB)
    await test.waitForLog(bomb, 'up')
    await until(() => test.processes().length > LIMITS.maxProcesses / 2, 'the bomb')
    // The leader and the namespace's first process do not count.
    assert.ok(test.processes().length <= LIMITS.maxProcesses + 2)
    await test.spawner.stop(bomb, { graceMs: 0 })
    // The kernel takes a moment to clear away what is dead.
    await until(() => test.processes().length === 0, 'everything to be gone')
  })

  it('D-18 is not fooled by a neighbour that calls itself by the name of another unit', async () => {
    await using test = await openUnprivilegedSpawner(UID)
    const node = await test.installNode()
    const listens = `const s = require('net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))`
    const serve = (prefix: string) => test.start(PROJECT_A, `${prefix} ${node} --eval "${listens}"`)
    const app = await serve('exec')
    const neighbour = await serve(`NANOSCALE_UNIT=${app.unit} exec setsid -w`)
    const portOf = async (ref: ProcessRef) => {
      await test.waitForLog(ref, '\n')
      return Number(await test.logOf(ref))
    }
    const unitListens = createUnitListens()
    assert.equal(await unitListens(app.unit, await portOf(app)), true)
    assert.equal(await unitListens(app.unit, await portOf(neighbour)), false)
    assert.equal(await unitListens(neighbour.unit, await portOf(neighbour)), true)
  })
})
