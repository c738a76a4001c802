import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { silentLogger } from '../lib/logger.ts'
import {
  BUILD_A,
  LIMITS,
  PLATFORM_USER,
  PROJECT_A,
  isRoot,
  openTestSpawner,
  skipUnlessRoot,
} from './_spawner.ts'
import type { TestSpawner } from './_spawner.ts'
import { createLocalSpawner } from './local-spawner.ts'
import type { LocalSpawner } from './local-spawner.ts'
import { connectSpawner } from './spawner-client.ts'
import { startSpawnerServer } from './spawner-server.ts'

function serve(test: TestSpawner, spawner: LocalSpawner = test.spawner) {
  return startSpawnerServer({
    spawner,
    socketPath: join(test.dataDirectory, 'run', 'spawner.sock'),
    stagingDirectory: test.dataDirectory,
    socketOwner: isRoot ? PLATFORM_USER : null,
    log: silentLogger,
  })
}

function connect(test: TestSpawner) {
  return connectSpawner(join(test.dataDirectory, 'run', 'spawner.sock'), { clock: systemClock })
}

function processSpec(unit: string, script: string) {
  return {
    unit,
    account: PROJECT_A,
    argv: ['sh', '-c', script] as const,
    env: { PATH: '/usr/bin:/bin' },
    directory: { area: 'apps', id: 'p1' } as const,
    limits: LIMITS,
    log: `${unit}.log`,
  }
}

describe('connectSpawner()', skipUnlessRoot, () => {
  it('does over the socket what the spawner does', async () => {
    await using test = await openTestSpawner()
    await using _server = await serve(test)
    await using client = connect(test)
    const socket = await stat(join(test.dataDirectory, 'run', 'spawner.sock'))
    assert.deepEqual([socket.uid, socket.mode & 0o777], [PLATFORM_USER.uid, 0o600])
    assert.equal(await client.isolation(), 'users')
    assert.equal(await client.accountBase(), test.uidOf({ kind: 'build', slot: 0 }))
    const path = await client.makeDirectory({ area: 'apps', id: 'p1' }, PROJECT_A)
    assert.equal(path, join(test.dataDirectory, 'apps', 'p1'))
    const ref = await client.start(processSpec('u1', 'exit 7'))
    assert.deepEqual(await client.exited(ref), { exitCode: 7, exitSignal: null })
    await client.makeDirectory({ area: 'builds', id: 'b1' }, BUILD_A)
    const spec = { ...processSpec('u2', 'cat'), account: BUILD_A, timeoutMs: 5000, stdin: 'in' }
    const result = await client.run({ ...spec, directory: { area: 'builds', id: 'b1' } })
    assert.equal(result.stdout, 'in')
    await client.remove({ area: 'apps', id: 'p1' })
    await client.removeLog('u1.log')
    await assert.rejects(client.removeLog('../x'), (error) =>
      isOperationError(error, 'spawner.invalid_log'),
    )
  })

  it('D-08 goes on with a new spawner: sees the exit of what the old one started, fails what cannot be told', async () => {
    await using test = await openTestSpawner()
    await test.spawner.makeDirectory({ area: 'apps', id: 'p1' }, PROJECT_A)
    const first = await serve(test)
    await using client = connect(test)
    const ref = await client.start(processSpec('u1', 'sleep 60'))
    const exited = client.exited(ref)
    const running = client.run({ ...processSpec('u2', 'sleep 60'), timeoutMs: 60_000 })
    const lost = assert.rejects(running, (error) => isOperationError(error, 'spawner.lost'))
    await client.isAlive(ref)
    await first[Symbol.asyncDispose]()
    await lost
    const waiting = client.isAlive(ref)
    await using next = createLocalSpawner({
      dataDirectory: test.dataDirectory,
      platformUser: PLATFORM_USER,
      accounts: test.accounts,
      clock: systemClock,
    })
    await using _server = await serve(test, next)
    assert.equal(await waiting, true)
    assert.deepEqual(await client.start(processSpec('u1', 'sleep 60')), ref)
    await client.stop(ref, { graceMs: 1000 })
    assert.deepEqual(await exited, { exitCode: null, exitSignal: null })
  })

  it('aborts a command when its caller does', async () => {
    await using test = await openTestSpawner()
    await using _server = await serve(test)
    await using client = connect(test)
    await client.makeDirectory({ area: 'apps', id: 'p1' }, PROJECT_A)
    const abort = new AbortController()
    const running = client.run(
      { ...processSpec('u1', 'sleep 60'), timeoutMs: 60_000 },
      abort.signal,
    )
    await client.isolation()
    abort.abort(new Error('not wanted'))
    await assert.rejects(running, /not wanted/)
  })

  it('tells what was pending when it is disposed of', async () => {
    await using test = await openTestSpawner()
    const client = connect(test)
    const asked = assert.rejects(client.isolation(), (error) =>
      isOperationError(error, 'spawner.closed'),
    )
    await client[Symbol.asyncDispose]()
    await asked
  })
})

describe('createLocalSpawner().startAgain()', skipUnlessRoot, () => {
  it('never starts a second time what may have run', async () => {
    await using test = await openTestSpawner()
    await test.spawner.makeDirectory({ area: 'apps', id: 'p1' }, PROJECT_A)
    const spec = processSpec('once', 'echo ran')
    const ref = await test.spawner.start(spec)
    await test.spawner.exited(ref)
    assert.deepEqual(await test.spawner.startAgain(spec, { askedAnother: false }), ref)
    await assert.rejects(
      test.spawner.startAgain(processSpec('other', 'echo ran'), { askedAnother: true }),
      (error) => isOperationError(error, 'spawner.lost'),
    )
    assert.equal(await test.logOf(ref), 'ran\n')
  })
})

describe('startSpawnerServer()', skipUnlessRoot, () => {
  it('refuses every message that is not exactly what it expects', async () => {
    await using test = await openTestSpawner()
    await using _server = await serve(test)
    const ref = { unit: 'u', pid: 1, startTicks: '1', bootId: 'a' }
    const spec = processSpec('u1', 'true')
    const messages: [string, unknown][] = [
      ['exec', {}],
      ['constructor', {}],
      ['isAlive', { process: ref }],
      ['isAlive', { process: { ...ref, pid: -1 } }],
      ['stop', { process: { ...ref, pid: '2' }, options: { graceMs: 0 } }],
      ['stop', { process: { ...ref, pid: 2 }, options: { graceMs: -1 } }],
      ['endAccount', { account: { kind: 'root', slot: 0 } }],
      ['endAccount', { account: { kind: 'project', slot: 0 } }],
      ['endAccount', { account: { kind: 'build', slot: -200_000 } }],
      ['endAccount', { account: { kind: 'build', slot: 10_000 } }],
      ['makeDirectory', { place: { area: 'keys', id: 'a' }, owner: PROJECT_A }],
      ['makeDirectory', { place: { area: 'apps', id: '../a' }, owner: PROJECT_A }],
      ['makeDirectory', { place: { area: 'releases', id: 'a' }, owner: PROJECT_A }],
      ['remove', { place: { area: '..', id: 'a' } }],
      ['start', { spec: { ...spec, argv: [] } }],
      ['start', { spec: { ...spec, argv: ['A=b'] } }],
      ['start', { spec: { ...spec, argv: ['a\0b'] } }],
      ['start', { spec: { ...spec, env: { 'A=B': 'c' } } }],
      ['start', { spec: { ...spec, env: { A: 1 } } }],
      ['start', { spec: { ...spec, env: { A: 'b\0c' } } }],
      ['start', { spec: { ...spec, unit: '../u' } }],
      ['start', { spec: { ...spec, account: { kind: 'project', slot: 1.5 } } }],
      ['start', { spec: { ...spec, limits: { maxProcesses: 'unlimited', maxOpenFiles: 16 } } }],
      ['start', { spec: { ...spec, directory: { area: 'apps', id: 'p1', path: '../..' } } }],
      ['start', { spec: { ...spec, log: '../keys/keyring' } }],
      ['start', { spec: { ...spec, mirror: '../m' } }],
      ['sealRelease', { build: 'b', path: '.', release: 'r', reader: { kind: 'build', slot: 0 } }],
      ['run', { spec: { ...spec, timeoutMs: 0 } }],
    ]
    const answers = await askRaw(test, messages)
    const codes = answers.map((answer) => answer.error?.code)
    assert.deepEqual(
      messages.filter((_, index) => codes[index]?.startsWith('spawner.invalid_') !== true),
      [],
    )
  })

  it('ends a connection that sends no JSON or a line without end', async () => {
    await using test = await openTestSpawner()
    await using _server = await serve(test)
    for (const bytes of ['no json\n', 'x'.repeat(9 * 1024 * 1024), '1\n', '{"id":"a"}\n']) {
      const socket = createConnection(join(test.dataDirectory, 'run', 'spawner.sock'))
      socket.on('error', () => {})
      socket.resume()
      socket.write(bytes)
      await new Promise((resolve) => socket.once('close', resolve))
    }
  })
})

/** Sends messages as somebody who holds the control plane could. */
function askRaw(test: TestSpawner, messages: readonly [string, unknown][]) {
  return new Promise<{ error?: { code: string } }[]>((resolve, reject) => {
    const socket = createConnection(join(test.dataDirectory, 'run', 'spawner.sock'))
    const answers: { error?: { code: string } }[] = []
    let text = ''
    socket.once('error', reject)
    socket.on('data', (data) => {
      text += data.toString('utf8')
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const answer = JSON.parse(line) as { id?: number; error?: { code: string } }
        if (answer.id !== undefined) answers[answer.id] = answer
      }
      if (answers.filter(Boolean).length < messages.length) return
      socket.destroy()
      resolve(answers)
    })
    messages.forEach(([method, params], id) => {
      socket.write(`${JSON.stringify({ id, method, params })}\n`)
    })
  })
}
