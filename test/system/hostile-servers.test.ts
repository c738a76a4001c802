import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { testApp } from './_apps.ts'
import { assertUnharmed } from './_hostile.ts'
import { startPlatform } from './_platform.ts'
import { listTenantProcesses } from './_processes.ts'
import { createProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

const ANSWERING = `
const fs = require('node:fs')
const version = fs.readFileSync('version.txt', 'utf8')
const server = require('node:http').createServer((request, response) => response.end(version))
server.listen(process.env.PORT, '127.0.0.1')
`

/** Listens on the port that it is told, as soon as it is free. */
const SQUATTER = `
const http = require('node:http')
const squat = (port) => {
  const server = http.createServer((request, response) => response.end('stolen'))
  server.on('error', () => setTimeout(() => squat(port), 1))
  server.listen(port, '127.0.0.1', () => (squatting = true))
}
let squatting = false
http.createServer((request, response) => {
  const url = new URL(request.url, 'http://app')
  if (url.pathname === '/squat') squat(Number(url.searchParams.get('port')))
  response.end(String(squatting))
}).listen(process.env.PORT, '127.0.0.1')
`

describe('hostile servers', () => {
  it('end with a reason while the old version serves on', async (t) => {
    await using host = await startGitHost()
    await using platform = await startPlatform({
      gitHostPort: host.port,
      environment: {
        NANOSCALE_HEALTH_TIMEOUT_SECONDS: '4',
        NANOSCALE_STANDBY_SECONDS: '1',
        NANOSCALE_DRAIN_SECONDS: '1',
      },
    })
    const repository = await host.createRepository('stable', testApp({ version: 'good' }))
    const app = await createProject(platform, { name: 'stable', repository })
    await app.waitForLive(await repository.head())

    const failing = async (server: string, reason: RegExp) => {
      const sha = await repository.push({ 'server.js': server })
      await app.reconcile()
      const deployment = await app.waitForEnd(sha)
      assert.equal(deployment.state, 'failed')
      assert.match(deployment.failure?.message ?? '', reason)
      await assertUnharmed(platform, app, 'good')
    }
    await t.test('that never listens', () =>
      failing(`setInterval(() => {}, 1000)`, /listen|answer/i),
    )
    await t.test('that ends at once', () =>
      failing(`console.error('no database'); process.exit(7)`, /7|exit|ended/i),
    )
    await t.test('that answers its health check with 500', () =>
      failing(ANSWERING.replace('response.end', 'response.writeHead(500).end'), /500/),
    )
    await t.test('that ignores SIGTERM is killed when it is replaced', async () => {
      const stubborn = await repository.push({
        'server.js': `process.on('SIGTERM', () => {})\n${ANSWERING}`,
        'version.txt': 'stubborn',
      })
      await app.reconcile()
      await app.waitForLive(stubborn)
      const next = await repository.push({
        'server.js': ANSWERING,
        'version.txt': 'next',
      })
      await app.reconcile()
      await app.waitForLive(next)
      await assertUnharmed(platform, app, 'next')
    })
    await platform.stopAll()
  })

  it('D-11 a version that crashes 5 s after its check gives the traffic back', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({
      gitHostPort: host.port,
      environment: { NANOSCALE_STANDBY_SECONDS: '15' },
    })
    const repository = await host.createRepository('late', testApp({ version: 'good' }))
    const app = await createProject(platform, { name: 'late', repository })
    const first = await app.waitForLive(await repository.head())
    const sha = await repository.push({
      'server.js': `setTimeout(() => process.exit(5), 5000)\n${ANSWERING}`,
      'version.txt': 'bad',
    })
    await app.reconcile()
    await app.waitForLive(sha)
    const failed = await app.waitForState(sha, 'failed')
    assert.match(failed.failure?.message ?? '', /crash|ended|exit/i)
    await waitFor('the old version to serve', 5000, async () => (await app.text('/')) === 'good')
    assert.equal((await app.read()).live_deployment?.id, first.id)
    await platform.stopAll()
  })

  it('D-18 a neighbour that takes the port of a crashed app gets no traffic', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const repository = await host.createRepository('owner', testApp({ version: 'mine' }))
    const app = await createProject(platform, { name: 'owner', repository })
    const thief = await host.createRepository(
      'thief',
      testApp({ version: 'thief', server: SQUATTER }),
    )
    const neighbour = await createProject(platform, { name: 'thief', repository: thief })
    await app.waitForLive(await repository.head())
    await neighbour.waitForLive(await thief.head())

    const { routes }: { routes: { hostname: string; target: { port: number } }[] } = JSON.parse(
      await readFile(path.join(platform.dataDirectory, 'traffic/routes.json'), 'utf8'),
    )
    const port = routes.find(({ hostname }) => hostname === app.hostname)?.target.port
    assert.ok(port)
    await neighbour.text(`/squat?port=${port}`)
    const bodies = new Set<string>()
    await app.text('/crash').catch(() => {})
    await waitFor(
      'the app to be back',
      30_000,
      async () => {
        const body = await app.text('/')
        bodies.add(body)
        return body === 'mine' && (await listTenantProcesses(platform.dataDirectory)).length >= 2
      },
      20,
    )
    assert.equal(await neighbour.text('/'), 'true', 'the neighbour has the port')
    for (let round = 0; round < 50; round += 1) bodies.add(await app.text('/'))
    assert.ok(!bodies.has('stolen'), 'a request went to the neighbour')
    await platform.stopAll()
  })
})
