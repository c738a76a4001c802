import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { isOperationError } from './errors.ts'
import { startTicksOf } from './process-identity.ts'
import { runCommand } from './run-command.ts'

const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' }
const options = { timeoutMs: 10_000 }
const sh = (script: string) => ({ argv: ['sh', '-c', script] as const, env })
const withCode = (code: string) => (error: unknown) => isOperationError(error, code)

let directory: string
const pidFile = () => join(directory, 'pid')
const readPid = async () => Number(await readFile(pidFile(), 'utf8'))
const untilGone = async (pid: number) => {
  while (startTicksOf(pid) !== null) await turn()
}

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'run-command-'))
})
after(() => rmSync(directory, { recursive: true }))

describe('runCommand()', { timeout: 30_000 }, () => {
  it('gives back both outputs and how the command ended', async () => {
    assert.deepEqual(await runCommand(sh('echo out; echo err >&2; exit 3'), options), {
      exitCode: 3,
      exitSignal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
    })
    const killed = await runCommand(sh('kill -TERM $$'), options)
    assert.deepEqual([killed.exitCode, killed.exitSignal], [null, 'SIGTERM'])
  })

  it('passes the input, the directory and nothing of its own environment', async () => {
    const command = { argv: ['sh', '-c', 'cat; pwd; env | grep -c HOME'] as const, cwd: tmpdir() }
    const { stdout } = await runCommand({ ...command, env }, { ...options, stdin: 'in\n' })
    assert.equal(stdout, `in\n${tmpdir()}\n0\n`)
  })

  it('does not mind a command that leaves its input unread', async () => {
    const stdin = 'x'.repeat(5_000_000)
    assert.equal((await runCommand(sh('exit 0'), { ...options, stdin })).exitCode, 0)
  })

  it('reads on past the cap, and says that it cut', async () => {
    const print = sh('head -c 3000000 /dev/zero | tr "\\0" x; exit 4')
    const result = await runCommand(print, { ...options, maxOutputBytes: 1000 })
    assert.deepEqual(
      [result.exitCode, result.stdout, result.truncated],
      [4, 'x'.repeat(1000), true],
    )
    const exact = await runCommand(sh('printf 12345'), { ...options, maxOutputBytes: 5 })
    assert.deepEqual([exact.stdout, exact.truncated], ['12345', false])
  })

  it('tells a program that is not installed from one that cannot be run', async () => {
    const missing = runCommand({ argv: ['no-such-program'], env }, options)
    await assert.rejects(missing, withCode('command.not_found'))
    const directory = runCommand({ argv: [tmpdir()], env }, options)
    await assert.rejects(directory, withCode('command.failed_to_start'))
  })

  it('ends a command that takes too long together with what it started', async () => {
    // The child in the background holds the outputs open.
    const command = sh(`sleep 300 & echo $! > "${pidFile()}"; sleep 300`)
    await assert.rejects(runCommand(command, { timeoutMs: 300 }), withCode('command.timed_out'))
    await untilGone(await readPid())
  })

  it('does not wait for a grandchild that left the group and holds the outputs open', async () => {
    const leave = `setsid sleep 300 & echo $! > "${pidFile()}"`
    const { exitCode, stdout } = await runCommand(sh(`echo out; ${leave}; exit 7`), options)
    process.kill(await readPid(), 'SIGKILL')
    assert.deepEqual([exitCode, stdout], [7, 'out\n'])
    const stuck = runCommand(sh(`${leave}; sleep 300`), { timeoutMs: 300 })
    await assert.rejects(stuck, withCode('command.timed_out'))
    process.kill(await readPid(), 'SIGKILL')
  })

  it('rejects with the reason of the signal, before the start or while it runs', async () => {
    const controller = new AbortController()
    const running = runCommand(sh('sleep 300 & sleep 300'), {
      ...options,
      signal: controller.signal,
    })
    const reason = new Error('enough')
    controller.abort(reason)
    await assert.rejects(running, reason)
    const { signal } = controller
    await assert.rejects(runCommand(sh('exit 0'), { ...options, signal }), reason)
  })
})
