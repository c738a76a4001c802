import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'

import { listProcesses } from './_processes.ts'

const LAUNCHER = path.resolve(import.meta.dirname, '../../nanoscale')
const TIMEOUT_MS = 120_000

describe('npm run demo', () => {
  it('deploys two examples, then a push, and leaves nothing behind', async () => {
    const { printed, exitCode, errors } = await runDemo(['--once'])
    assert.equal(exitCode, 0, printed + errors)
    assert.match(printed, /title now: +Changed by a push\n/)
    assert.match(printed, /The Node app: +http:\/\/hello\.localhost:\d+\n/)
  })

  it('--github deploys a private repository, then a push once, and leaves nothing behind', async () => {
    const { printed, exitCode, errors } = await runDemo(['--github', '--once'])
    assert.equal(exitCode, 0, printed + errors)
    assertGithub(printed)
    assert.doesNotMatch(printed, /Ctrl-C/)
  })

  it('--github says what to try until Ctrl-C, and leaves nothing behind', async () => {
    const { printed, exitCode, errors } = await runDemo(['--github'], 'Ctrl-C ends')
    assert.equal(exitCode, 0, printed + errors)
    assertGithub(printed)
    assert.match(printed, /git clone http:\/\/ada:\w+@127\.0\.0\.1:\d+\/acme\/shop\.git/)
  })
})

function assertGithub(printed: string): void {
  assert.match(printed, /connected as ada; the App is installed at acme\n/)
  assert.match(printed, /acme\/shop +private +main\n/)
  assert.match(printed, /#1 live after/)
  assert.match(printed, /#2 live after/)
  assert.doesNotMatch(printed, /#3/)
  assert.match(printed, /title before: Shop\n +title now: +Changed by a push\n/)
  assert.match(printed, /exactly one redeploy followed/)
  const steps = printed.match(/^ {4}\+\d+\.\d\d s {2}(\w+)/gm) ?? []
  const named = steps.map((line) => line.split(/ +/).at(-1))
  assert.equal(named.filter((step) => step === 'verified').length, 2, 'told by both webhooks')
  assert.equal(named.filter((step) => step === 'deployment').length, 1)
  assert.match(printed, /Cleaning up …\n$/)
}

/** Runs the demo as a terminal does, with Ctrl-C when it printed `until`; asserts that it leaves nothing behind. */
async function runDemo(options: readonly string[], until?: string) {
  const directory = await mkdtemp('/tmp/demo-test-')
  await chmod(directory, 0o711)
  try {
    const child = spawn(process.execPath, [LAUNCHER, 'demo', ...options], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: directory },
      // A group of its own, all of which gets the Ctrl-C.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { pid } = child
    assert.ok(pid !== undefined)
    const late = setTimeout(() => process.kill(-pid, 'SIGINT'), TIMEOUT_MS)
    const errors = text(child.stderr)
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    let printed = ''
    child.stdout.setEncoding('utf8')
    for await (const part of child.stdout as AsyncIterable<string>) {
      const isThere = until !== undefined && !printed.includes(until)
      printed += part
      if (isThere && printed.includes(until)) process.kill(-pid, 'SIGINT')
    }
    const exitCode = await ended
    clearTimeout(late)
    const left = (await listProcesses()).filter(({ environment, workingDirectory, command }) =>
      [environment, workingDirectory, command].some((fact) => fact.includes(directory)),
    )
    assert.deepEqual(
      left.map(({ pid, command }) => ({ pid, command })),
      [],
    )
    assert.deepEqual(await readdir(directory), [])
    return { printed, exitCode, errors: await errors }
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}
