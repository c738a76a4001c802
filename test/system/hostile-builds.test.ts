import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'

import { type GitHost, startGitHost } from '../_git-host.ts'
import type { GitRepository } from '../_git-repository.ts'
import { testApp } from './_apps.ts'
import { assertUnharmed } from './_hostile.ts'
import { type Platform, startPlatform } from './_platform.ts'
import { listTenantProcesses } from './_processes.ts'
import { createProject, type DeploymentDetails, type TestProject } from './_project.ts'

const BUILD_SECONDS = 12

const isRoot = process.getuid?.() === 0

describe('hostile builds', { skip: isRoot ? false : 'accounts of their own need root' }, () => {
  let host: GitHost
  let platform: Platform
  let repository: GitRepository
  let app: TestProject

  before(async () => {
    host = await startGitHost()
    platform = await startPlatform({
      gitHostPort: host.port,
      environment: {
        NANOSCALE_BUILD_TIMEOUT_SECONDS: String(BUILD_SECONDS),
        NANOSCALE_BUILD_DISK_BYTES: String(1200 * 2 ** 20),
        NANOSCALE_STANDBY_SECONDS: '1',
        NANOSCALE_DRAIN_SECONDS: '1',
      },
    })
    repository = await host.createRepository('victim', testApp({ version: 'good' }))
    app = await createProject(platform, { name: 'victim', repository })
    await app.waitForLive(await repository.head())
  })
  after(async () => {
    await using _host = host
    await using _platform = platform
    await platform.stopAll()
  })

  const attempt = async (program: string): Promise<DeploymentDetails> => {
    const sha = await repository.push({ 'build.js': program })
    await app.reconcile()
    return await app.waitForEnd(sha, 60_000)
  }
  const fails = async (program: string, reason: RegExp) => {
    const deployment = await attempt(program)
    assert.equal(deployment.state, 'failed', JSON.stringify(deployment.failure))
    assert.match(deployment.failure?.message ?? '', reason)
    await assertUnharmed(platform, app, 'good')
  }

  it('D-05 that fails: its exit code is the reason', async () => {
    await fails(`console.error('no such module'); process.exit(3)`, /3/)
    const [newest] = await app.deployments()
    assert.match(await app.log(newest?.id ?? ''), /no such module/)
  })

  it('D-05 that hangs is ended at its deadline', async () => {
    await fails(`setInterval(() => {}, 1000)`, /within|took|longer|deadline|time/i)
  })

  it('D-05 that fills the disk is ended at its quota', async () => {
    await fails(
      `const fs = require('node:fs'); const block = Buffer.alloc(8 << 20, 1)
       let n = 0; setInterval(() => fs.writeFileSync('file' + n++, block), 20)`,
      /disk|space|quota|bytes|MB|MiB/i,
    )
  })

  it('D-05 that forks without end is ended, and the platform answers meanwhile', async () => {
    const sha = await repository.push({
      'build.js': `const { spawn } = require('node:child_process')
        const fork = () => spawn(process.execPath, [__filename], { detached: true, stdio: 'ignore' }).on('error', () => {})
        fork(); setInterval(fork, 50)`,
    })
    await app.reconcile()
    await app.waitForState(sha, 'building')
    for (let round = 0; round < 10; round += 1) {
      assert.equal(await app.text('/'), 'good')
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    const deployment = await app.waitForEnd(sha, 60_000)
    assert.equal(deployment.state, 'failed')
    assert.match(deployment.failure?.message ?? '', /\S/)
    await assertUnharmed(platform, app, 'good')
  })

  it('D-05 that leaves a daemon behind: nothing of it survives the build', async () => {
    const deployment = await attempt(
      `const { spawn } = require('node:child_process')
       spawn('setsid', ['sleep', '1000'], { detached: true, stdio: 'ignore', env: {}, cwd: '/' }).unref()
       setTimeout(() => {}, 300)`,
    )
    assert.equal(deployment.state, 'live', JSON.stringify(deployment.failure))
    await assertUnharmed(platform, app, 'good')
    assert.ok(
      (await listTenantProcesses(platform.dataDirectory)).every(
        ({ command }) => !command.includes('sleep'),
      ),
    )
  })

  it('D-05 that prints 1 GB fills neither the disk nor the memory', async (t) => {
    const logs = path.join(platform.dataDirectory, 'logs')
    let largest = 0
    const sampler = setInterval(() => {
      void diskUse(logs).then((bytes) => (largest = Math.max(largest, bytes)))
    }, 50)
    const deployment = await attempt(
      `const line = Buffer.alloc(1 << 20, 'x'); line[line.length - 1] = 10
       for (let n = 0; n < 1024; n++) require('node:fs').writeSync(1, line)`,
    ).finally(() => clearInterval(sampler))
    assert.equal(deployment.state, 'live', JSON.stringify(deployment.failure))
    await assertUnharmed(platform, app, 'good')
    t.diagnostic(`the logs took ${Math.round(largest / 1e6)} MB at most while it printed`)
    assert.ok((await diskUse(logs)) < 50e6)
    assert.ok((await diskUse(path.join(platform.dataDirectory, 'database'))) < 50e6)
    const { control } = await platform.pids()
    const status = await readFile(`/proc/${control}/status`, 'utf8')
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1])
    assert.ok(peak < 400_000, `the control plane used ${peak} kB`)
  })

  it('D-06 that kills everything it can hits itself alone', async () => {
    const neighbour = await host.createRepository(
      'bystander',
      testApp({ version: 'calm', buildMs: 4000 }),
    )
    const other = await createProject(platform, { name: 'bystander', repository: neighbour })
    await other.waitForState(await neighbour.head(), 'building')
    const sha = await repository.push({
      'build.js': `require('node:child_process').spawnSync('sh', ['-c', 'kill -9 -1'])`,
    })
    await app.reconcile()
    const deployment = await app.waitForEnd(sha)
    assert.equal(deployment.state, 'failed')
    assert.match(deployment.failure?.message ?? '', /SIGKILL|killed|signal/i)
    await other.waitForLive(await neighbour.head())
    assert.equal(await other.text('/'), 'calm')
    await platform.api('DELETE', `/api/projects/${other.id}`)
    await assertUnharmed(platform, app, 'good')
  })

  it('D-06 that looks for our files reads none of them', async () => {
    const { control, spawner } = await platform.pids()
    const program = `const fs = require('node:fs'); const found = []
      const look = (name) => { try { found.push(...fs.readdirSync(name)) } catch {} try { fs.readFileSync(name); found.push(name) } catch {} }
      const data = ${JSON.stringify(platform.dataDirectory)}
      for (const name of ['keys', 'keys/keyring', 'database', 'database/nanoscale.db', 'run', 'run/operator.sock', 'run/platform.json',
        'logs', 'apps', 'releases', 'mirrors', 'builds', 'traffic']) { try { fs.accessSync(data + '/' + name, 4); look(data + '/' + name) } catch {} }
      for (const pid of [${control}, ${spawner}]) for (const name of ['environ', 'mem', 'fd']) look('/proc/' + pid + '/' + name)
      const secrets = found.filter((name) => /keyring|nanoscale.db|environ|sock|platform.json|\\/mem/.test(name))
      console.log('SECRETS ' + JSON.stringify(secrets)); process.exit(secrets.length === 0 ? 0 : 9)`
    const deployment = await attempt(program)
    assert.equal(deployment.state, 'live', await app.log(deployment.id))
    await assertUnharmed(platform, app, 'good')
  })
})

async function diskUse(directory: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(directory)).map(async (name) => {
      const facts = await stat(path.join(directory, name)).catch(() => null)
      return (facts?.blocks ?? 0) * 512
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
