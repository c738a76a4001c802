import assert from 'node:assert/strict'
import { access, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import { identityOf, isSameProcessAlive, startTicksOf } from '../lib/process-identity.ts'
import type { ProcessIdentity } from '../lib/process-identity.ts'
import { PLATFORM_USER, isRoot, until } from './_spawner.ts'
import { superviseProcess } from './platform-processes.ts'
import type { PlatformProcessSpec, SupervisedProcess } from './platform-processes.ts'
import { openPlatformState } from './platform-state.ts'

async function openStage() {
  const directory = await mkdtemp(join(tmpdir(), 'nanoscale-platform-'))
  const statePath = join(directory, 'platform.json')
  const spec: PlatformProcessSpec = {
    name: 'traffic',
    argv: ['/bin/sleep', '60'],
    env: {},
    user: isRoot ? PLATFORM_USER : null,
    programHash: 'one',
    replacement: 'overlap',
    isReady: () => Promise.resolve(true),
    readyTimeoutMs: 2000,
    stopGraceMs: 2000,
  }
  const opened: SupervisedProcess[] = []
  return {
    spec,
    statePath,
    async supervise(changes: Partial<PlatformProcessSpec> = {}) {
      const state = openPlatformState(statePath)
      const deps = { clock: systemClock, log: silentLogger, state }
      const supervised = await superviseProcess(deps, { ...spec, ...changes })
      opened.push(supervised)
      return supervised
    },
    async [Symbol.asyncDispose]() {
      for (const supervised of opened) await supervised.stop()
      await rm(directory, { recursive: true })
    },
  }
}

function identityOfProcess(supervised: SupervisedProcess): ProcessIdentity {
  const identity = identityOf(supervised.pid() ?? 0)
  assert.ok(identity)
  return identity
}

function kill(identity: ProcessIdentity): void {
  process.kill(identity.pid, 'SIGKILL')
}

describe('superviseProcess()', () => {
  it('starts a process that ended again', async () => {
    await using stage = await openStage()
    const supervised = await stage.supervise()
    const first = identityOfProcess(supervised)
    kill(first)
    await until(() => ![null, first.pid].includes(supervised.pid()), 'the next process')
    assert.ok(isSameProcessAlive(identityOfProcess(supervised)))
  })

  it('D-08 adopts what an earlier spawner started, and sees it end', async () => {
    await using stage = await openStage()
    const before = await stage.supervise()
    const first = identityOfProcess(before)
    await before[Symbol.asyncDispose]()
    const after = await stage.supervise()
    assert.equal(after.pid(), first.pid)
    kill(first)
    await until(() => ![null, first.pid].includes(after.pid()), 'the next process')
  })

  it('D-09 replaces a process of another program when the new one is ready', async () => {
    await using stage = await openStage()
    const before = await stage.supervise()
    const old = identityOfProcess(before)
    await before[Symbol.asyncDispose]()
    let oldWasAlive = false
    const after = await stage.supervise({
      programHash: 'two',
      isReady: () => {
        oldWasAlive = isSameProcessAlive(old)
        return Promise.resolve(true)
      },
    })
    assert.ok(oldWasAlive)
    assert.notEqual(after.pid(), old.pid)
    await until(() => !isSameProcessAlive(old), 'the end of the old process')
  })

  it('D-09 keeps the old process when the new one never becomes ready', async () => {
    await using stage = await openStage()
    const before = await stage.supervise()
    const old = identityOfProcess(before)
    await before[Symbol.asyncDispose]()
    const after = await stage.supervise({
      programHash: 'two',
      readyTimeoutMs: 50,
      isReady: () => Promise.resolve(false),
    })
    assert.equal(after.pid(), old.pid)
    assert.ok(isSameProcessAlive(old))
  })

  it('ends the old process first where two must not run at once', async () => {
    await using stage = await openStage()
    const before = await stage.supervise({ replacement: 'in_turn' })
    const old = identityOfProcess(before)
    await before[Symbol.asyncDispose]()
    const after = await stage.supervise({ replacement: 'in_turn', programHash: 'two' })
    assert.equal(isSameProcessAlive(old), false)
    assert.ok(isSameProcessAlive(identityOfProcess(after)))
  })

  it('kills a process that ignores SIGTERM', async () => {
    await using stage = await openStage()
    const argv = ['/bin/sh', '-c', 'trap "" TERM; sleep 60 & sleep 60; sleep 60'] as const
    const supervised = await stage.supervise({ argv, stopGraceMs: 50 })
    const identity = identityOfProcess(supervised)
    await supervised.stop()
    assert.equal(isSameProcessAlive(identity), false)
    assert.equal(supervised.pid(), null)
  })

  it('gives up on a process that never lives', async () => {
    await using stage = await openStage()
    const supervised = await stage.supervise({ argv: ['/bin/sleep', '0.01'] })
    await until(() => supervised.gaveUp.aborted, 'giving up')
    assert.match(String(supervised.gaveUp.reason), /Cannot keep traffic running/)
  })

  it('signals nothing that a forged record names', { skip: !isRoot && 'needs root' }, async () => {
    await using stage = await openStage()
    const record = { ...identityOf(process.pid), programHash: 'old' }
    await writeFile(stage.statePath, JSON.stringify({ traffic: record }))
    const supervised = await stage.supervise()
    assert.notEqual(supervised.pid(), process.pid)
    assert.ok(startTicksOf(process.pid))
  })
})

describe('openPlatformState()', () => {
  it('follows no link and takes nonsense for nothing', async () => {
    await using stage = await openStage()
    await symlink('/etc/passwd', stage.statePath)
    const state = openPlatformState(stage.statePath)
    assert.equal(state.read('traffic'), null)
    const record = { pid: 5, startTicks: '1', bootId: 'b', programHash: 'h' }
    state.write('control', record)
    await access('/etc/passwd')
    assert.deepEqual(openPlatformState(stage.statePath).read('control'), record)
    await writeFile(stage.statePath, '{"traffic": {"pid": "5"}, "control": null')
    assert.equal(openPlatformState(stage.statePath).read('traffic'), null)
    await rm(stage.statePath)
  })
})
