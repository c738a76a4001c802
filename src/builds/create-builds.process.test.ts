import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import { NO_SETTINGS } from '../../test/_build-plans.ts'
import { startGitHost } from '../../test/_git-host.ts'
import { newId } from '../lib/ids.ts'
import { createRedactor } from '../secrets/redactor.ts'
import { fetchCommit } from '../sources/fetch-commit.ts'
import { createBuilds } from './create-builds.ts'

const EXAMPLES = join(import.meta.dirname, '../../examples')

/** The files of an example, as a repository has them. */
async function readExample(name: string): Promise<Record<string, string>> {
  const root = join(EXAMPLES, name)
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const files = paths.map(async (path): Promise<[string, string]> => [
    path.slice(root.length + 1),
    await readFile(path, 'utf8'),
  ])
  return Object.fromEntries(await Promise.all(files))
}

/** Takes an example from a push to a sealed release, and returns the release's directory. */
async function release(name: string, check: (directory: string, output: string) => Promise<void>) {
  await using host = await startGitHost()
  await using machine = await startBuildHost()
  const repository = await host.createRepository(name, await readExample(name))
  const source = { organizationId: 'org-1', repoUrl: repository.url }
  const nodeDirectory = dirname(process.execPath)
  const builds = createBuilds({
    ...machine.sourceDeps([host.hostEntry]),
    spawner: machine.spawner,
    redactor: createRedactor(),
    logDirectory: join(machine.dataDirectory, 'logs'),
    keyring: { fingerprint: (text) => text },
    toolchain: {
      nodeVersion: process.versions.node,
      npmVersion: '1',
      packageManagers: ['npm'],
      path: `${nodeDirectory}:/usr/local/bin:/usr/bin:/bin`,
    },
    buildLimits: { timeoutMs: 60_000, diskBytes: 1e9, memoryBytes: 1e9 },
  })
  const signal = AbortSignal.timeout(60_000)
  const sha = await repository.head()
  await fetchCommit(machine.sourceDeps([host.hostEntry]), source, sha, 'main', signal)
  const plan = await builds.plan(source, sha, NO_SETTINGS, signal)
  let output = ''
  const log = { output: (text: string) => void (output += text), note: () => {} }
  const ids = { deploymentId: newId(), releaseId: newId() }
  const { bytes } = await builds.build(
    { ...ids, source, sha, plan, env: {}, accountSlot: 0, log },
    signal,
  )
  assert.ok(bytes > 0)
  assert.deepEqual(await readdir(join(machine.dataDirectory, 'builds')), [])
  await check(join(machine.dataDirectory, 'releases', ids.releaseId), output)
}

describe('createBuilds()', () => {
  it('makes a release of the static example', async () => {
    await release('static-site', async (directory) => {
      assert.match(await readFile(join(directory, 'index.html'), 'utf8'), /It works/)
    })
  })

  it('makes a release of the Node example, with its build step', async () => {
    await release('node-app', async (directory, output) => {
      assert.match(output, /Rendered dist\/index\.html/)
      assert.match(await readFile(join(directory, 'dist/index.html'), 'utf8'), /node-app 1\.0\.0/)
    })
  })
})
