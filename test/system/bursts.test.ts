import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { testApp } from './_apps.ts'
import { startPlatform } from './_platform.ts'
import { createProject, type DeploymentDetails, type TestProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

/** Slow enough that only pushes, and not the timer, decide when a branch is looked at. */
const RARE_TIMER = { poll_interval_seconds: 3600 }
const BUILD_MS = 3000

describe('bursts of pushes', () => {
  it('D-07 ten pushes in 5 s: two builds at most, and the last head is live', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const { app, repository } = await slowApp(platform, host)
    const heads: string[] = []
    for (let number = 1; number <= 10; number += 1) {
      heads.push(await repository.push({ 'version.txt': `burst ${number}` }))
      await app.reconcile()
      await pause(500)
    }
    await app.waitForLive(heads.at(-1) ?? '', 60_000)
    assert.equal(await app.text('/'), 'burst 10')
    const built = (await allDetails(app)).filter(
      ({ commit, phases }) =>
        heads.includes(commit.sha) && phases.some(({ state }) => state === 'building'),
    )
    assert.ok(built.length <= 2, `${built.length} of ten reached building`)
    for (const { state, superseded_by_id } of (await allDetails(app)).slice(1, -1)) {
      if (state === 'superseded') assert.ok(superseded_by_id, 'it says what replaced it')
    }
    await platform.stopAll()
  })

  it('D-07 steady pushes faster than a build: at least every third build becomes live', async (t) => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const { app, repository } = await slowApp(platform, host)
    let last = ''
    for (let number = 1; number <= 12; number += 1) {
      last = await repository.push({ 'version.txt': `steady ${number}` })
      await app.reconcile()
      await pause(2500)
    }
    await app.waitForLive(last, 60_000)
    const built = (await allDetails(app))
      .filter(({ phases }) => phases.some(({ state }) => state === 'building'))
      .toSorted((a, b) => a.number - b.number)
    t.diagnostic(built.map(({ number, state }) => `#${number} ${state}`).join(', '))
    let cancelledInARow = 0
    for (const { number, state } of built) {
      cancelledInARow = state === 'live' ? 0 : cancelledInARow + 1
      assert.ok(cancelledInARow < 3, `#${number} is the third build in a row that was cancelled`)
    }
    await platform.stopAll()
  })
})

describe('the timer', () => {
  it('D-19 leaves a rollback and a skipped commit as they are', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const repository = await host.createRepository('held', testApp({ version: 'one' }))
    const app = await createProject(platform, { name: 'held', repository })
    const first = await app.waitForLive(await repository.head())
    const skipped = await repository.push({ 'version.txt': 'draft' }, 'Draft [skip ci]')
    await waitFor('the commit to be considered', 15_000, async () => {
      return (await app.read()).considered_head === skipped
    })
    await looksAtTheBranch(host, 4)
    assert.equal(await app.text('/'), 'one')
    assert.ok((await app.deployments()).every(({ commit }) => commit.sha !== skipped))

    const ready = await repository.push({ 'version.txt': 'two' }, 'Ready')
    await app.waitForLive(ready)
    assert.equal(await app.text('/'), 'two')

    await platform.api('POST', `/api/projects/${app.id}/rollback`, { number: first.number })
    await waitFor('the rollback', 20_000, async () => (await app.text('/')) === 'one')
    await app.waitUntilIdle()
    await looksAtTheBranch(host, 4)
    assert.equal(await app.text('/'), 'one', 'the timer does not undo a rollback')

    const next = await repository.push({ 'version.txt': 'three' })
    await app.waitForLive(next)
    assert.equal(await app.text('/'), 'three')
    await platform.stopAll()
  })

  it('D-20 does not go back when a replica of the host answers an older head', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const repository = await host.createRepository('lagging', testApp({ version: 'A' }))
    const app = await createProject(platform, {
      name: 'lagging',
      repository,
      settings: RARE_TIMER,
    })
    const older = await repository.head()
    await app.waitForLive(older)
    const newer = await repository.push({ 'version.txt': 'B' })
    await app.reconcile()
    await app.waitForLive(newer)

    await repository.setBranch('main', older)
    await app.reconcile()
    await repository.setBranch('main', newer)
    await app.reconcile()
    await app.waitUntilIdle()
    await pause(3000)
    await app.waitUntilIdle()
    assert.equal(await app.text('/'), 'B')
    assert.equal((await app.deployments()).length, 2, 'the older head was not deployed again')
    await platform.stopAll()
  })
})

async function slowApp(
  platform: Parameters<typeof createProject>[0],
  host: Awaited<ReturnType<typeof startGitHost>>,
) {
  const files = testApp({ version: 'start', buildMs: BUILD_MS })
  const repository = await host.createRepository('slow', files)
  const app = await createProject(platform, { name: 'slow', repository, settings: RARE_TIMER })
  await app.waitForLive(await repository.head())
  return { app, repository }
}

async function allDetails(app: TestProject): Promise<DeploymentDetails[]> {
  return await Promise.all((await app.deployments()).map(({ id }) => app.details(id)))
}

/** Waits until the timer has asked the host so many times more. */
async function looksAtTheBranch(
  host: Awaited<ReturnType<typeof startGitHost>>,
  times: number,
): Promise<void> {
  const before = host.count('info/refs')
  await waitFor('the timer', 60_000, () => host.count('info/refs') >= before + times)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
