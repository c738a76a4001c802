import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chown,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { BUILD_A, PROJECT_A, openTestSpawner, skipUnlessRoot } from './_spawner.ts'
import { keepAccountRange } from './keep-account-range.ts'

let root: string
const at = (...names: string[]) => join(root, ...names)
const register = () => readdir(at('register'))

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nanoscale-accounts-'))
  await mkdir(at('a'))
  await mkdir(at('b'))
})
afterEach(() => rm(root, { recursive: true }))

/** Everybody guesses the same, so that only what is known keeps two apart. */
async function baseOf(name: string, guess = 600): Promise<number> {
  const options = { dataDirectory: at(name), register: at('register'), guess: () => guess }
  return (await keepAccountRange({ clock: systemClock }, options)).base
}

describe('keepAccountRange()', skipUnlessRoot, () => {
  it('gives two data directories ranges of their own, also when they ask at once', async () => {
    const [a, b] = await Promise.all([baseOf('a'), baseOf('b')])
    assert.ok(Math.abs(a - b) >= 200_000, `${a} and ${b}`)
    assert.deepEqual((await register()).sort(), [String(a), String(b), 'lock'].sort())
  })

  it('keeps the range over restarts and moves, whatever is free by then', async () => {
    const base = await baseOf('a')
    assert.equal(await readFile(at('a', 'accounts.json'), 'utf8'), `{"base":${base}}\n`)
    assert.equal(await baseOf('a', 3), base)
    await rm(at('register'), { recursive: true })
    assert.equal(await baseOf('a', 3), base)
    await rename(at('a'), at('moved'))
    assert.equal(await baseOf('moved', 3), base)
    assert.equal(await readFile(at('register', String(base)), 'utf8'), at('moved'))
  })

  it('gives the range of a directory that was removed to another one', async () => {
    const base = await baseOf('a')
    await rm(at('a'), { recursive: true })
    assert.equal(await baseOf('b'), base)
  })

  it('avoids the ids of processes that run', async () => {
    const base = await baseOf('a')
    const uid = base + 12_345
    const child = spawn('/bin/sleep', ['60'], { uid, gid: uid, stdio: 'ignore' })
    await once(child, 'spawn')
    await rm(at('a'), { recursive: true })
    assert.notEqual(await baseOf('b'), base)
    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  it('refuses a copy of a data directory that is on this machine', async () => {
    await baseOf('a')
    await cp(at('a'), at('copy'), { recursive: true })
    await assert.rejects(
      baseOf('copy'),
      (error) => isOperationError(error, 'start.accounts_taken') && error.message.includes(at('a')),
    )
    await rm(at('a'), { recursive: true })
    await baseOf('copy')
  })

  it('finds the range by the owners of files where the file is missing', async () => {
    await mkdir(at('a', 'apps', 'p1'), { recursive: true })
    await mkdir(at('a', 'mirrors', 'm1'), { recursive: true })
    await mkdir(at('a', 'mirrors', 'of-root'))
    await chown(at('a', 'apps', 'p1'), 210_003, 210_003)
    await chown(at('a', 'mirrors', 'm1'), 0, 300_001)
    assert.equal(await baseOf('a'), 200_000)
    await mkdir(at('b', 'apps', 'p1'), { recursive: true })
    await mkdir(at('b', 'apps', 'p2'), { recursive: true })
    await chown(at('b', 'apps', 'p1'), 410_000, 410_000)
    await chown(at('b', 'apps', 'p2'), 610_000, 610_000)
    await assert.rejects(
      baseOf('b'),
      (error) =>
        isOperationError(error, 'start.accounts_unclear') &&
        error.message.includes('400000 and 600000'),
    )
  })

  it('takes nothing from the owners of a directory that was made without root', async () => {
    const person = 1_234_567
    for (const area of ['apps', 'mirrors']) {
      await mkdir(at('a', area, 'p1'), { recursive: true })
      await chown(at('a', area, 'p1'), person, person)
    }
    assert.ok((await baseOf('a')) > 2_000_000_000)
  })

  it('refuses a file that is damaged or not of root alone, and says what to do', async () => {
    const path = at('a', 'accounts.json')
    const texts = ['', '{', 'null', '{}', '{"base":"200000"}', '{"base":0}', '{"base":200001}']
    for (const text of [...texts, '{"base":-200000}', '{"base":2147400000}', '{"base":2e15}']) {
      await writeFile(path, text)
      await assert.rejects(
        baseOf('a'),
        (error) =>
          isOperationError(error, 'start.accounts_damaged') &&
          error.message.startsWith(`Cannot use "${path}": `) &&
          error.message.includes('remove it'),
        text,
      )
    }
    await writeFile(path, '{"base":200000}')
    await chown(path, 12_345, 0)
    await assert.rejects(baseOf('a'), (error) => isOperationError(error, 'start.accounts_damaged'))
  })
})

describe('two spawners with data directories of their own', skipUnlessRoot, () => {
  it('end and see nothing of each other', async () => {
    await using one = await openTestSpawner()
    await using other = await openTestSpawner()
    const build = await one.start(BUILD_A, 'echo up; sleep 60')
    const app = await one.start(PROJECT_A, 'echo private >file; echo up; sleep 60')
    await one.waitForLog(build, 'up')
    await one.waitForLog(app, 'up')
    await other.spawner.endAccount(BUILD_A)
    await other.spawner.stop(build, { graceMs: 10 })
    await other.spawner.stop(app, { graceMs: 10 })
    assert.equal(await one.spawner.isAlive(build), true)
    assert.equal(await one.spawner.isAlive(app), true)
    const curious = await other.start(
      PROJECT_A,
      `cat ${one.dataDirectory}/apps/${app.unit}/file; cat /proc/${app.pid}/environ; kill ${app.pid}; true`,
    )
    assert.deepEqual(await other.spawner.exited(curious), { exitCode: 0, exitSignal: null })
    assert.doesNotMatch(await other.logOf(curious), /private|NANOSCALE_UNIT/)
    assert.equal(await one.spawner.isAlive(app), true)
  })
})
