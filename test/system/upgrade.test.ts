import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { testApp } from './_apps.ts'
import { startLoad, summarizeFailures } from './_load.ts'
import { startPlatform } from './_platform.ts'
import { createProject } from './_project.ts'

const CHECKOUT = path.resolve(import.meta.dirname, '../..')

describe('upgrade', () => {
  it('D-09 during a deployment: it ends well, and no request fails', async () => {
    await using next = await copyProgram('99.0.0')
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const files = testApp({ version: 'before', buildMs: 2000 })
    const repository = await host.createRepository('lasting', files)
    const app = await createProject(platform, { name: 'lasting', repository })
    await app.waitForLive(await repository.head())
    await using load = startLoad({
      port: platform.trafficPort,
      hostname: app.hostname,
      requestsPerSecond: 100,
    })
    const sha = await repository.push({ 'version.txt': 'after' })
    await app.reconcile()
    await app.waitForState(sha, 'building')
    await platform.restart(next.directory)
    await app.waitForLive(sha, 60_000)
    assert.equal(await app.text('/'), 'after')
    const { version } = await platform.api<{ version: string }>('GET', '/api/instance')
    assert.equal(version, '99.0.0')
    assert.deepEqual(summarizeFailures(await load.stop()), [])
    await platform.stopAll()
  })
})

/** The program as an upgrade leaves it: other files in another place. */
async function copyProgram(version: string): Promise<{ directory: string } & AsyncDisposable> {
  const directory = await mkdtemp('/tmp/nanoscale-upgrade-')
  for (const name of ['nanoscale', 'launcher', 'src', 'package-lock.json', 'tsconfig.json']) {
    await cp(path.join(CHECKOUT, name), path.join(directory, name), {
      recursive: true,
      // `nanoscale` is a link, and must lead into the copy.
      verbatimSymlinks: true,
    })
  }
  for (const name of ['node_modules', '.toolchain']) {
    await symlink(path.join(CHECKOUT, name), path.join(directory, name))
  }
  const manifest = JSON.parse(await readFile(path.join(CHECKOUT, 'package.json'), 'utf8'))
  await writeFile(path.join(directory, 'package.json'), JSON.stringify({ ...manifest, version }))
  return {
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}
