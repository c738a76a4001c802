import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, statfsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import type { BuildHost } from '../../test/_build-host.ts'
import { startGitHost } from '../../test/_git-host.ts'
import { isOperationError } from '../lib/errors.ts'
import { checkOut, makeWorkspace } from './check-out.ts'
import { fetchCommit } from './fetch-commit.ts'

const signal = () => AbortSignal.timeout(30_000)
const withCode = (code: string) => (error: unknown) => isOperationError(error, code)

/** Puts a small file system of its own in the place of one of the data directory's areas. */
function mountSmall(machine: BuildHost, area: string): Disposable & { freeBytes: () => number } {
  const path = join(machine.dataDirectory, area)
  mkdirSync(path, { recursive: true, mode: 0o711 })
  const mode = (statSync(path).mode & 0o7777).toString(8)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=2m,mode=${mode}`, 'none', path])
  return {
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(path)
      return bavail * bsize
    },
    [Symbol.dispose]: () => void execFileSync('umount', [path]),
  }
}

/** File systems are mounted by root alone, and not in every container. */
function reasonAgainstMounting(): string | false {
  const path = mkdtempSync(join(tmpdir(), 'mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', path], { stdio: 'ignore' })
    execFileSync('umount', [path])
    return false
  } catch {
    return 'file systems cannot be mounted here'
  } finally {
    rmdirSync(path)
  }
}

describe('a full disk', { skip: reasonAgainstMounting() }, () => {
  it('D-17 ends a fetch with that reason, gives the space back, and the next one works', async () => {
    await using host = await startGitHost()
    await using machine = await startBuildHost()
    const deps = machine.sourceDeps([host.hostEntry])
    const large = await host.createRepository('large', { file: randomBytes(4_000_000) })
    const small = await host.createRepository('small', { file: 'x' })
    const sourceOf = (repoUrl: string) => ({ organizationId: 'org-1', repoUrl })
    using disk = mountSmall(machine, 'mirrors')
    const sha = await large.head()
    const fetch = fetchCommit(deps, sourceOf(large.url), sha, 'main', signal())
    await assert.rejects(fetch, withCode('source.no_space'))
    assert.deepEqual(readdirSync(join(machine.dataDirectory, 'mirrors')), [])
    assert.ok(disk.freeBytes() > 1_900_000)
    const next = await small.head()
    const commit = await fetchCommit(deps, sourceOf(small.url), next, 'main', signal())
    assert.equal(commit.sha, next)
  })

  it('D-17 ends a check-out with that reason', async () => {
    await using host = await startGitHost()
    await using machine = await startBuildHost()
    const deps = machine.sourceDeps([host.hostEntry])
    const repository = await host.createRepository('large', { file: randomBytes(4_000_000) })
    const source = { organizationId: 'org-1', repoUrl: repository.url }
    const sha = await repository.head()
    await fetchCommit(deps, source, sha, 'main', signal())
    using disk = mountSmall(machine, 'builds')
    await using lease = await machine.buildAccounts.acquire(signal())
    const workspace = await makeWorkspace(deps, 'full', lease.account, signal())
    await assert.rejects(
      checkOut(deps, source, sha, workspace, signal()),
      withCode('source.no_space'),
    )
    await machine.spawner.remove(workspace.place)
    assert.ok(disk.freeBytes() > 1_900_000)
  })
})
