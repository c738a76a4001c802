import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'

import { isOperationError } from '../../lib/errors.ts'
import { chooseFreePort } from '../../lib/free-port.ts'
import {
  PROJECT_A,
  PROJECT_B,
  openTestSpawner,
  skipUnlessRoot,
  until,
} from '../../spawner/_spawner.ts'
import type { TestSpawner } from '../../spawner/_spawner.ts'
import type { InstanceSpec } from '../runtime.ts'
import { appEnvironment } from './app-environment.ts'
import { createProcessRuntime } from './process-runtime.ts'

const never = new AbortController().signal

async function openRuntime(test: TestSpawner) {
  await mkdir(join(test.dataDirectory, 'releases', 'r1', 'web'), { recursive: true })
  const runtime = createProcessRuntime({
    spawner: test.spawner,
    toolchainPath: dirname(process.execPath),
  })
  const spec = (id: string, script: string): InstanceSpec => ({
    id,
    projectId: 'p1',
    accountSlot: PROJECT_A.slot,
    releaseId: 'r1',
    workingDirectory: 'web',
    argv: ['sh', '-c', script],
    env: {},
    port: 20_001,
    log: `${id}.log`,
  })
  return { runtime, spec }
}

describe('appEnvironment()', () => {
  it('adds what the platform says, which the app cannot override', () => {
    const own = {
      A: 'b',
      PORT: '1',
      HOST: 'x',
      DATA_DIR: '/',
      NANOSCALE_UNIT: 'x',
      NODE_ENV: 'test',
      LD_PRELOAD: 'x.so',
    }
    const facts = {
      own,
      toolchainPath: '/t/bin',
      dataPath: '/d/apps/p1',
      userName: 'app-3',
      port: 20_001,
    }
    assert.deepEqual(appEnvironment(facts), {
      PATH: '/t/bin:/usr/local/bin:/usr/bin:/bin',
      HOME: '/d/apps/p1',
      USER: 'app-3',
      LOGNAME: 'app-3',
      NODE_ENV: 'test',
      A: 'b',
      LD_PRELOAD: 'x.so',
      PORT: '20001',
      HOST: '127.0.0.1',
      DATA_DIR: '/d/apps/p1',
    })
  })
})

describe('createProcessRuntime()', skipUnlessRoot, () => {
  it('runs an instance in its release, with a directory of its own', async () => {
    await using test = await openTestSpawner()
    const { runtime, spec } = await openRuntime(test)
    const ref = await runtime.start(
      spec('i1', 'pwd; echo kept >"$DATA_DIR/file"; cat "$HOME/file"; sleep 60'),
    )
    const log = { ...ref, unit: 'i1' }
    await test.waitForLog(log, 'kept')
    assert.equal(
      (await test.logOf(log)).split('\n')[0],
      join(test.dataDirectory, 'releases/r1/web'),
    )
    assert.equal(await runtime.isAlive(ref), true)
    await runtime.stop(ref, { graceMs: 1000 })
    assert.deepEqual(await runtime.exited(ref), { exitCode: null, exitSignal: 'SIGTERM' })
    await runtime.stop(ref, { graceMs: 1000 })
  })

  it('G-17 gives an app nothing of the environment of the platform', async (t) => {
    process.env['NANOSCALE_ENCRYPTION_KEYS'] = 'k1:of-the-platform'
    t.after(() => delete process.env['NANOSCALE_ENCRYPTION_KEYS'])
    await using test = await openTestSpawner()
    const { runtime, spec } = await openRuntime(test)
    const script = 'env; cat /proc/[0-9]*/environ 2>/dev/null; echo done; sleep 60'
    const ref = await runtime.start(spec('i1', script))
    const log = { ...ref, unit: 'i1' }
    await test.waitForLog(log, 'done')
    const text = await test.logOf(log)
    assert.match(text, /^PORT=20001$/m)
    assert.doesNotMatch(text, /of-the-platform/)
    await runtime.stop(ref, { graceMs: 1000 })
  })

  it('D-18 tells the instance that listens from a neighbour on its port', async () => {
    await using test = await openTestSpawner()
    const { runtime, spec } = await openRuntime(test)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const taken = (server.address() as AddressInfo).port
    const nobody = { unit: 'app-i1', pid: 2, startTicks: '0', bootId: '' }
    const asked = { ref: nobody, accountSlot: PROJECT_A.slot, port: taken }
    assert.equal(await runtime.ownsPort(asked), false)
    server.close()
    const port = await chooseFreePort()
    const script = `require("net").createServer().listen(process.env.PORT, "127.0.0.1")`
    const argv = [process.execPath, '--eval', script] as const
    const ref = await runtime.start({ ...spec('i1', ''), argv, port })
    await until(
      () => runtime.ownsPort({ ref, accountSlot: PROJECT_A.slot, port }),
      'the app to listen',
    )
    assert.equal(await runtime.ownsPort({ ref, accountSlot: PROJECT_B.slot, port }), false)
    await runtime.stop(ref, { graceMs: 1000 })
  })

  it('runs a release command to its end, with its deadline and its cancellation', async () => {
    await using test = await openTestSpawner()
    const { runtime, spec } = await openRuntime(test)
    const options = { timeoutMs: 5000, signal: never }
    const facts = await runtime.runReleaseCommand(spec('d1', 'echo migrated; exit 4'), options)
    assert.deepEqual(facts, { exitCode: 4, exitSignal: null })
    await assert.rejects(
      runtime.runReleaseCommand(spec('d2', 'sleep 60'), { ...options, timeoutMs: 50 }),
      (error) => isOperationError(error, 'runtime.release_command_timed_out'),
    )
    const abort = new AbortController()
    const running = runtime.runReleaseCommand(spec('d3', 'sleep 60'), {
      ...options,
      signal: abort.signal,
    })
    abort.abort(new Error('not wanted'))
    await assert.rejects(running, /not wanted/)
  })

  it('says why an instance could not be started', async () => {
    await using test = await openTestSpawner()
    const { runtime, spec } = await openRuntime(test)
    await assert.rejects(runtime.start({ ...spec('i1', ''), workingDirectory: '../..' }), (error) =>
      isOperationError(error, 'runtime.failed_to_start'),
    )
  })
})
