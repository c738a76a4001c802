import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import { PLAIN_PLAN } from '../../test/_build-plans.ts'
import { describeOnBothEngines, type OpenTestDatabase } from '../../test/_databases.ts'
import { createFakeWorld, insertProject } from '../../test/_deployments.ts'
import { runBuild } from '../builds/run-build.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { systemClock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import { createRedactor } from '../secrets/redactor.ts'
import { makeWorkspace } from '../sources/check-out.ts'
import { openDeploymentLog } from './deployment-log.ts'
import { readDeploymentLog } from './deployment-records.ts'
import { requestDeployment } from './request-deployment.ts'

/** A log of a deployment that exists, and how to read what it stored. */
async function openLog(open: OpenTestDatabase) {
  const database = await open()
  const world = createFakeWorld(database.db)
  const project = await insertProject(database.db)
  const commit = { sha: 'a', message: null, author: null, committedAt: null }
  const request = { projectId: project.id, cause: 'first', commit } as const
  const { deploymentId: id } = await inTransaction(database.db, (tx) =>
    requestDeployment(world.deps, tx, request),
  )
  return {
    world,
    id,
    log: await openDeploymentLog(world.deps, { id, organization_id: 'org-default' }),
    rows: () => readDeploymentLog(database.db, id, 0, 10_000),
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

describeOnBothEngines('openDeploymentLog()', (open) => {
  it('stores lines in order, redacted, and goes on counting after a restart', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db)
    const { deps } = world
    const project = await insertProject(database.db)
    const commit = { sha: 'a', message: null, author: null, committedAt: null }
    const request = { projectId: project.id, cause: 'first', commit } as const
    const requested = await inTransaction(database.db, (tx) => requestDeployment(deps, tx, request))
    const deployment = { id: requested.deploymentId, organization_id: 'org-default' }
    const seen: number[] = []
    deps.events.onLog(deployment.id, (rows) => seen.push(...rows.map((row) => row.sequence)))
    deps.redactor.add('swordfish')
    {
      await using log = await openDeploymentLog(deps, deployment)
      log.note('Fetching')
      log.output('the password is sword')
      log.output('fish\n')
    }
    {
      await using log = await openDeploymentLog(deps, deployment)
      log.note('Resumed')
      log.output(`${'x'.repeat(20_000)}swordfish`)
    }
    const rows = await readDeploymentLog(database.db, deployment.id, 0, 100)
    assert.deepEqual(
      rows.map((row) => row.sequence),
      [1, 2, 3, 4, 5],
    )
    assert.deepEqual(seen, [1, 2, 3, 4, 5])
    assert.ok(!rows.some((row) => row.text.includes('swordfish')))
    assert.match(rows[1]?.text ?? '', /^the password is .*\n$/)
    const rest = await readDeploymentLog(database.db, deployment.id, 4, 100)
    assert.equal(rest.length, 1)
  })

  it('cuts output without end, and keeps what the platform says', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db)
    const project = await insertProject(database.db)
    const commit = { sha: 'a', message: null, author: null, committedAt: null }
    const request = { projectId: project.id, cause: 'first', commit } as const
    const requested = await inTransaction(database.db, (tx) =>
      requestDeployment(world.deps, tx, request),
    )
    const deployment = { id: requested.deploymentId, organization_id: 'org-default' }
    {
      await using log = await openDeploymentLog(world.deps, deployment)
      for (let part = 0; part < 100; part++) log.output('y'.repeat(100_000))
      log.note('Failed')
    }
    const rows = await readDeploymentLog(database.db, deployment.id, 0, 10_000)
    const size = rows.reduce((sum, row) => sum + row.text.length, 0)
    assert.ok(size < 4_500_000, `${size}`)
    assert.match(rows.at(-1)?.text ?? '', /cut here.*\nFailed\n$/)
  })

  it('G-14 keeps each line of the platform on one line, and loses nothing to odd characters', async () => {
    await using test = await openLog(open)
    test.log.note('Cannot write "a\nLive\u001b[2K\r\u009b1A\0"')
    test.log.output('NUL \0 and half of \ud83d a pair\n')
    test.log.output(`${'x'.repeat(16_383 - 31)}😀 end\n`)
    await test.log.flush()
    const rows = await test.rows()
    const [note, ...printed] = rows
    assert.equal(note?.text, 'Cannot write "a\\nLive\\u001b[2K\\r\u009b1A\\u0000"\n')
    const text = printed.map((row) => row.text).join('')
    assert.match(text, /^NUL \ufffd and half of . a pair\nx+😀 end\n$/u)
    assert.ok(printed.length > 1)
  })
})

/** Prints a variable in each way that a build may, in pieces that no single read holds together. */
const LEAK = `
  printf '%s\\n' "raw $TOKEN"
  printf '%s\\n' "base64 $(printf %s "$TOKEN" | base64)"
  printf '%s\\n' "basic $(printf 'x-access-token:%s' "$TOKEN" | base64 -w 0)"
  node -p 'encodeURIComponent(process.env.TOKEN)' && node -p 'JSON.stringify({ t: process.env.TOKEN })'
  for part in 1-5 6-9 10-; do printf %s "$TOKEN" | cut -c $part | tr -d '\\n'; sleep 0.25; done
  printf '\\n'; printf '%s' "$TOKEN" | cut -c 1-8 | tr -d '\\n'`
const TOKEN = 'ghs_9/Zq+"päss wörd"=16C7e42F292c6912E7710c838347Ae178B4a'

describeOnBothEngines('the log of a build', (open) => {
  it('G-18 D-02 never holds the value of a variable, in whatever form it is printed', async () => {
    await using test = await openLog(open)
    await using host = await startBuildHost()
    const redactor = createRedactor()
    redactor.add(TOKEN)
    test.world.deps.redactor.add(TOKEN)
    await using lease = await host.buildAccounts.acquire(AbortSignal.timeout(5000))
    const signal = AbortSignal.timeout(30_000)
    const workspace = await makeWorkspace({ ...host, newId }, 'leak', lease.account, signal)
    const build = {
      spawner: host.spawner,
      clock: systemClock,
      newId,
      redactor,
      logDirectory: join(host.dataDirectory, 'logs'),
      toolchain: { path: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin` },
    }
    const steps = [{ name: 'build', argv: ['sh', '-c', `${LEAK}; exit 3`] }] as const
    const plan = { ...PLAIN_PLAN, steps }
    const limits = { timeoutMs: 20_000, diskBytes: 1e9, memoryBytes: 1e9 }
    const order = { workspace, plan, env: { TOKEN }, log: test.log, limits }
    const failure = await runBuild(build, order, signal).catch((error: unknown) => error)
    await host.spawner.remove(workspace.place)
    await test.log.flush()
    const text = (await test.rows()).map((row) => row.text).join('')
    assert.equal(text.match(/\[secret\]/g)?.length, 6, text)
    assert.match(text, /^raw \[secret\]$/m)
    const said = JSON.stringify(failure instanceof OperationError ? failure.details : null)
    for (const form of leaksOf(TOKEN)) {
      assert.ok(!text.includes(form), `${form} in ${text}`)
      assert.ok(!said.includes(form), said)
    }
  })
})

/** What nobody may read: the value's encodings, and pieces of it that are long enough to be of use. */
function leaksOf(value: string): string[] {
  const base64 = Buffer.from(value).toString('base64')
  return [value, value.slice(9), base64.slice(4, 60), encodeURIComponent(value), value.slice(0, 20)]
}
