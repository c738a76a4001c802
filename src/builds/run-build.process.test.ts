import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import type { BuildHost } from '../../test/_build-host.ts'
import { PLAIN_PLAN } from '../../test/_build-plans.ts'
import { systemClock } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import type { OperationError } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import { createRedactor } from '../secrets/redactor.ts'
import { makeWorkspace } from '../sources/check-out.ts'
import { uidOf } from '../spawner/accounts.ts'
import { processesOfUid } from '../spawner/process-table.ts'
import type { Argv, BuildPlan } from './build-plan.ts'
import { runBuild } from './run-build.ts'
import type { BuildLimits } from './run-build.ts'

const MB = 1024 ** 2
const LIMITS: BuildLimits = { timeoutMs: 20_000, diskBytes: 200 * MB, memoryBytes: 500 * MB }
const isRoot = process.getuid?.() === 0

let host: BuildHost

before(async () => {
  host = await startBuildHost()
})
after(() => host[Symbol.asyncDispose]())

interface Build {
  step?: Argv
  name?: 'install' | 'build'
  env?: Record<string, string>
  limits?: Partial<BuildLimits>
  plan?: Partial<BuildPlan>
  secret?: string
  signal?: AbortSignal
  /** Of a spawner that measures slowly. */
  usage?: () => Promise<number>
}

/** Runs a plan of one step; what it printed, and how it ended. Nothing of it may be left. */
async function build(options: Build) {
  await using lease = await host.buildAccounts.acquire(AbortSignal.timeout(5000))
  const { spawner } = host
  const redactor = createRedactor()
  if (options.secret !== undefined) redactor.add(options.secret)
  const logDirectory = join(host.dataDirectory, 'logs')
  const toolchain = { path: '/usr/local/bin:/usr/bin:/bin' }
  const deps = { spawner, clock: systemClock, newId, redactor, logDirectory, toolchain }
  const id = `build-${newId()}`
  const signal = options.signal ?? AbortSignal.timeout(30_000)
  const workspace = await makeWorkspace(deps, id, lease.account, AbortSignal.timeout(5000))
  let output = ''
  const notes: string[] = []
  const log = {
    output: (text: string) => void (output += text),
    note: (line: string) => void notes.push(line),
  }
  const steps = [{ name: options.name ?? 'build', argv: options.step ?? ['true'] }] as const
  const plan = { ...PLAIN_PLAN, steps, ...options.plan }
  const limits = { ...LIMITS, ...options.limits }
  const order = { workspace, plan, env: options.env ?? {}, log, limits }
  let error: OperationError | null = null
  try {
    const usage = options.usage ?? spawner.usage.bind(spawner)
    await runBuild({ ...deps, spawner: { ...spawner, usage } }, order, signal)
  } catch (thrown) {
    if (!isOperationError(thrown)) throw thrown
    error = thrown
  }
  if (isRoot) {
    const uid = uidOf(lease.account, await spawner.accountBase())
    assert.deepEqual(processesOfUid(uid).pids, [])
  }
  await spawner.remove(workspace.place)
  assert.deepEqual(await readdir(logDirectory), [])
  return { output, notes, error, workspace }
}

const sh = (script: string): Argv => ['sh', '-c', script]

describe('runBuild()', () => {
  it('passes on what a step prints, redacted, and notes the command', async () => {
    const { output, notes, error } = await build({
      step: sh('echo one; echo "the secret is $TOKEN"; echo two >&2'),
      env: { TOKEN: 'hunter2hunter2' },
      secret: 'hunter2hunter2',
    })
    assert.equal(error, null)
    assert.equal(output, 'one\nthe secret is [secret]\ntwo\n')
    assert.match(notes[0] ?? '', /^\$ sh -c/)
  })

  it('D-01 D-02 G-17 gives the variables byte for byte, and nothing of the platform', async (t) => {
    process.env['NANOSCALE_ENCRYPTION_KEYS'] = 'k1:of-the-platform'
    t.after(() => delete process.env['NANOSCALE_ENCRYPTION_KEYS'])
    const env = { A: '\'"$x;`id`\n\\', UNICODE: 'ünï', NODE_ENV: 'production', EMPTY: '' }
    const { output, workspace } = await build({ step: ['env', '-0'], env })
    const seen = new Map(output.split('\0').map((line) => [line.split('=')[0], line]))
    for (const [name, value] of Object.entries(env)) {
      assert.equal(seen.get(name), `${name}=${value}`)
    }
    assert.equal(seen.get('HOME'), `HOME=${workspace.path}/home`)
    assert.equal(seen.get('CI'), 'CI=true')
    const names = [...seen.keys()].filter((name) => name !== '')
    const ours = ['PATH', 'HOME', 'TMPDIR', 'USER', 'LOGNAME', 'LANG', 'CI', 'NANOSCALE_UNIT']
    const other = names.filter((name) => !ours.includes(name ?? '') && !name?.startsWith('npm_'))
    assert.deepEqual(new Set(other), new Set(Object.keys(env)))
    const others = await build({ step: sh('cat /proc/[0-9]*/environ 2>/dev/null || true') })
    if (isRoot) assert.doesNotMatch(others.output, /of-the-platform/)
    const install = await build({ step: ['env'], name: 'install', env })
    assert.doesNotMatch(install.output, /NODE_ENV/)
  })

  it('says which step failed, how, and what it said last', async () => {
    const failed = await build({ step: sh('echo no such module; exit 3') })
    assert.equal(failed.error?.code, 'build.step_failed')
    assert.match(failed.error.message, /build step failed: it exited with code 3/)
    assert.deepEqual(failed.error.details?.['last_lines'], ['no such module'])
    const missing = await build({ step: ['no-such-program'] })
    assert.match(missing.error?.message ?? '', /"no-such-program" was not found/)
  })

  it('passes the output on and sees the end while the disk use is being measured', async () => {
    const measured = Promise.withResolvers<number>()
    const built = await build({ step: sh('sleep 0.3; echo done'), usage: () => measured.promise })
    measured.resolve(0)
    assert.equal(built.error, null)
    assert.equal(built.output, 'done\n')
  })

  it('leaves out the middle of a very long output', async () => {
    const output = { headBytes: 100_000, tailBytes: 50_000 }
    const built = await build({
      step: sh('echo begin; yes 0123456789abcdef | head -c 40000000; echo end'),
      limits: { output },
    })
    assert.equal(built.error, null)
    assert.ok(built.output.startsWith('begin\n'))
    assert.ok(built.output.endsWith('end\n'))
    assert.match(built.output, /… \d+ MB left out …/)
    assert.ok(built.output.length < 160_000)
  })

  it('D-05 ends what takes too long, with all that it left behind', async () => {
    const { error } = await build({
      step: sh('setsid sleep 300 & sleep 300'),
      limits: { timeoutMs: 300 },
    })
    assert.equal(error?.code, 'build.timed_out')
  })

  it('D-05 D-17 ends what uses too much disk', async () => {
    const fill = 'for n in 1 2 3; do head -c 5000000 /dev/zero > big$n; done; sleep 300'
    const { error } = await build({ step: sh(fill), limits: { diskBytes: 8 * MB } })
    assert.equal(error?.code, 'build.disk_quota')
    assert.deepEqual(await readdir(join(host.dataDirectory, 'builds')), [])
    assert.equal((await build({ step: ['true'] })).error, null)
  })

  it('D-05 ends what uses too much memory', async () => {
    const { error } = await build({
      step: sh('a=$(head -c 60000000 /dev/zero | tr "\\0" x); sleep 300'),
      limits: { memoryBytes: 30 * MB },
    })
    assert.equal(error?.code, 'build.out_of_memory')
  })

  it('D-05 survives a build that kills everything of its uid', { skip: !isRoot }, async () => {
    const { error, output } = await build({ step: sh('sleep 300 & kill -9 -1; echo on') })
    assert.equal(error, null)
    assert.equal(output, 'on\n')
  })

  it('is interrupted when the signal aborts', async () => {
    const controller = new AbortController()
    const building = build({ step: sh('echo started; sleep 300'), signal: controller.signal })
    setTimeout(() => controller.abort(), 200)
    assert.equal((await building).error?.code, 'build.interrupted')
  })

  it('misses an output directory that no step made', async () => {
    const { error } = await build({ plan: { outputDirectory: 'dist' } })
    assert.equal(error?.code, 'build.output_missing')
    const made = await build({ step: ['mkdir', 'dist'], plan: { outputDirectory: 'dist' } })
    assert.equal(made.error, null)
  })
})
