import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { testApp } from './_apps.ts'
import { startLoad, summarizeFailures } from './_load.ts'
import { startPlatform } from './_platform.ts'
import { createProject } from './_project.ts'

const REQUESTS_PER_SECOND = 500
const DEPLOYMENTS = 20

describe('zero downtime', () => {
  it('D-10 fails no request while 20 deployments pass and the control plane restarts', async (t) => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const repository = await host.createRepository('busy', testApp({ version: '0' }))
    const app = await createProject(platform, { name: 'busy', repository })
    await app.waitForLive(await repository.head())

    await using load = startLoad({
      port: platform.trafficPort,
      hostname: app.hostname,
      requestsPerSecond: REQUESTS_PER_SECOND,
    })
    const started = Date.now()
    for (let number = 1; number <= DEPLOYMENTS; number += 1) {
      const sha = await repository.push({ 'version.txt': String(number) }, `Version ${number}`)
      await app.reconcile()
      // In the midst of a deployment, which must end well all the same.
      if (number === DEPLOYMENTS / 2) await platform.restartControl()
      await app.waitForLive(sha, 60_000)
    }
    const seconds = (Date.now() - started) / 1000
    const report = await load.stop()

    t.diagnostic(
      `${report.completed} requests (${Math.round(report.completed / seconds)}/s), ` +
        `${report.echoes} echoes, ${report.uploads} uploads, ${report.streams} streams, ` +
        `${report.goingAway} sockets closed with 1001, longest gap ${report.longestGapMs} ms`,
    )
    assert.deepEqual(summarizeFailures(report), [])
    const expected = Array.from({ length: DEPLOYMENTS + 1 }, (_, number) => String(number))
    assert.deepEqual(
      report.bodies.toSorted((a, b) => Number(a) - Number(b)),
      expected,
    )
    assert.ok(report.completed > REQUESTS_PER_SECOND * seconds * 0.9, 'the load was not reached')
    for (const count of [report.echoes, report.uploads, report.streams]) assert.ok(count > 0)
    await platform.stopAll()
  })
})
