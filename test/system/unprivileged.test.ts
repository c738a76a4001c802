import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { startPlatform } from './_platform.ts'
import { createProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

/** Without an entry in the user database, as in containers. */
const UID = process.getuid?.() === 0 ? 199_992 : undefined
const EXAMPLE = path.resolve(import.meta.dirname, '../../examples/node-app')

function filesOf(directory: string): Record<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return Object.fromEntries(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file) => [path.relative(directory, file), readFileSync(file, 'utf8')]),
  )
}

const SPY = `
const fs = require('node:fs')
const data = process.env.DATA_DIR.replace(/.apps.[^/]*$/, '')
const seen = []
const walk = (directory) => {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = directory + '/' + entry.name
    if (path.startsWith(data + '/toolchain/')) continue
    seen.push(path.slice(data.length + 1))
    if (entry.isDirectory()) walk(path)
  }
}
walk(data)
seen.push(...fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map((pid) => {
  try { return fs.readFileSync('/proc/' + pid + '/environ', 'utf8') } catch { return '' }
}).filter((text) => text.includes('NANOSCALE_DATA_DIR')))
require('node:http').createServer((request, response) => response.end(JSON.stringify(seen)))
  .listen(process.env.PORT, '127.0.0.1')
`

const isReadable =
  UID === undefined ||
  spawnSync('test', ['-r', import.meta.filename, '-a', '-x', process.execPath], {
    uid: UID,
    gid: UID,
  }).status === 0
const skip = isReadable ? {} : { skip: `uid ${UID} may not read this checkout` }

describe('NanoScale started without root', skip, () => {
  it('deploys an app, keeps it from everything else, and goes on after its spawner died', async (t) => {
    await using host = await startGitHost()
    const repository = await host.createRepository('shop', filesOf(EXAMPLE))
    const spying = await host.createRepository('spy', {
      'package.json': '{"name":"spy","version":"1.0.0"}',
      'nanoscale.json': '{"start":["node","spy.js"]}',
      'spy.js': SPY,
    })
    await using platform = await startPlatform({
      gitHostPort: host.port,
      ...(UID === undefined ? {} : { uid: UID }),
    })
    const { isolation } = await platform.api<{ isolation: string }>('GET', '/api/instance')
    if (isolation === 'none') return t.skip('this machine refuses user namespaces')
    assert.equal(isolation, 'namespaces')
    const app = await createProject(platform, { name: 'shop', repository })
    const spy = await createProject(platform, { name: 'spy', repository: spying })
    await app.waitForLive(await repository.head())
    await spy.waitForLive(await spying.head())
    assert.equal((await platform.get(app.hostname, '/')).status, 200)

    const seen: string[] = JSON.parse(await spy.text('/'))
    const top = new Set(seen.map((name) => name.split('/')[0]))
    assert.deepEqual(top, new Set(['apps', 'releases', 'toolchain']))
    assert.deepEqual(
      seen.filter((name) => name.endsWith('server.js')),
      [],
    )

    await platform.kill('spawner')
    assert.equal((await platform.get(app.hostname, '/')).status, 200)
    const next = await repository.push({ 'again.txt': 'x' })
    await app.reconcile()
    await app.waitForLive(next)
    await platform.api('DELETE', `/api/projects/${app.id}`)
    await waitFor('the app to be gone', 30_000, async () => {
      return (await platform.get(app.hostname, '/')).status === 404
    })
    await platform.stopAll()
  })
})
