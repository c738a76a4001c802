import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { NOTING_RELEASE, testApp } from './_apps.ts'
import { startLoad, summarizeFailures } from './_load.ts'
import { type Platform, startPlatform } from './_platform.ts'
import { listTenantProcesses } from './_processes.ts'
import { createProject, type TestProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

const STATES = [
  'fetching',
  'building',
  'releasing',
  'starting',
  'checking',
  'switching',
  'live',
  'cancelling',
] as const

const QUICK_RETIREMENT = { NANOSCALE_STANDBY_SECONDS: '1', NANOSCALE_DRAIN_SECONDS: '4' }
const REQUESTS_PER_SECOND = 50

describe('kill -9 of the control plane', () => {
  for (const state of STATES) {
    it(`D-08 when a deployment enters ${state}: it resumes or ends, and the app answers on`, async () => {
      await using host = await startGitHost()
      await using platform = await startPlatform({
        gitHostPort: host.port,
        environment: QUICK_RETIREMENT,
      })
      // Long enough that a newer head finds it building.
      const buildMs = state === 'cancelling' ? 6000 : 1000
      const { app, repository } = await releasingApp(platform, host, buildMs)
      await using load = startLoad({
        port: platform.trafficPort,
        hostname: app.hostname,
        requestsPerSecond: REQUESTS_PER_SECOND,
      })
      const before = (await platform.pids()).control
      await platform.armFault(state)
      const sha = await repository.push({ 'version.txt': 'next' })
      await app.reconcile().catch(() => {})
      // What cancels an active deployment is a newer head; that one then goes live.
      if (state === 'cancelling') {
        await app.waitForState(sha, 'building')
        await repository.push({ 'version.txt': 'next' }, 'Newer')
        await app.reconcile().catch(() => {})
      }
      await waitFor('the control plane to be killed and replaced', 30_000, async () => {
        return (await platform.pids()).control !== before
      })
      await waitFor('the deployment to be known', 20_000, async () =>
        (await app.deployments()).some(({ commit }) => commit.sha === sha),
      )
      await app.waitUntilIdle()
      const ended = await app.waitForEnd(sha)
      assert.ok(endsAllowed(state).includes(ended.state), `${state} ended ${ended.state}`)
      const isDeployed = ended.state === 'live' || ended.state === 'superseded'
      if (!isDeployed) assert.ok(ended.failure?.message)
      await assertOneOfEach(platform, app, isDeployed ? 'next' : 'first')
      assert.deepEqual(summarizeFailures(await load.stop()), [])
      await platform.stopAll()
    })
  }
})

describe('kill -9 at random times', () => {
  for (const kind of ['control', 'spawner', 'traffic'] as const) {
    it(`D-08 of ${kind}: every deployment ends, one is live, nothing runs twice`, async (t) => {
      await using host = await startGitHost()
      await using platform = await startPlatform({
        gitHostPort: host.port,
        environment: QUICK_RETIREMENT,
      })
      const { app, repository } = await releasingApp(platform, host, 1000)
      await using load = startLoad({
        port: platform.trafficPort,
        hostname: app.hostname,
        requestsPerSecond: REQUESTS_PER_SECOND,
        longRunning: kind !== 'traffic',
      })
      for (let round = 1; round <= 4; round += 1) {
        await repository.push({ 'version.txt': `round ${round}` })
        await app.reconcile().catch(() => {})
        const delay = Math.floor(Math.random() * 3000)
        await new Promise((resolve) => setTimeout(resolve, delay))
        t.diagnostic(`round ${round}: killed after ${delay} ms`)
        await platform.kill(kind)
      }
      const last = await repository.push({ 'version.txt': 'last' })
      await app.reconcile()
      await app.waitForLive(last, 60_000)
      await app.waitUntilIdle()
      await assertOneOfEach(platform, app, 'last')
      const report = await load.stop()
      t.diagnostic(`longest gap ${report.longestGapMs} ms, ${report.completed} answers`)
      if (kind === 'traffic') {
        assert.ok(report.longestGapMs < 1000, `no answer for ${report.longestGapMs} ms`)
      } else {
        assert.deepEqual(summarizeFailures(report), [])
      }
      await platform.stopAll()
    })
  }
})

/** A release command that ran, or may have run, is never repeated: then the deployment ends, and says so. */
function endsAllowed(state: (typeof STATES)[number]): string[] {
  if (state === 'cancelling') return ['superseded']
  if (state === 'releasing') return ['live', 'failed', 'interrupted']
  return ['live']
}

async function releasingApp(
  platform: Platform,
  host: Awaited<ReturnType<typeof startGitHost>>,
  buildMs: number,
) {
  const repository = await host.createRepository(
    'shop',
    testApp({ version: 'first', buildMs, release: NOTING_RELEASE }),
  )
  const app = await createProject(platform, { name: 'shop', repository })
  await app.waitForLive(await repository.head())
  return { app, repository }
}

async function assertOneOfEach(platform: Platform, app: TestProject, body: string): Promise<void> {
  assert.equal(await app.text('/'), body)
  await waitFor('one app to run', 20_000, async () => {
    const commands = (await listTenantProcesses(platform.dataDirectory)).map(
      ({ command }) => command,
    )
    if (commands.length !== 1) throw new Error(`running: ${commands.join(' | ')}`)
    return true
  })
  const deployments = await app.deployments()
  const released = (await app.text('/data')).split('\n').filter((line) => line !== '')
  for (const id of new Set(released)) {
    assert.equal(released.filter((line) => line === id).length, 1, `${id} was released twice`)
  }
  assert.ok(released.length <= deployments.length)
  assert.equal((await app.read()).live_deployment?.state, 'live')
}
