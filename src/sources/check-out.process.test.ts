import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import type { BuildHost } from '../../test/_build-host.ts'
import { startGitHost } from '../../test/_git-host.ts'
import type { GitHost } from '../../test/_git-host.ts'
import { isOperationError } from '../lib/errors.ts'
import { checkOut, makeWorkspace } from './check-out.ts'
import { fetchCommit } from './fetch-commit.ts'
import { readRepositoryFacts } from './repository-facts.ts'
import type { SourceDeps } from './source-deps.ts'

let host: GitHost
let machine: BuildHost
const signal = () => AbortSignal.timeout(30_000)
const sourceOf = (repoUrl: string) => ({ organizationId: 'org-1', repoUrl })
const deps = (other?: Partial<SourceDeps>) => machine.sourceDeps([host.hostEntry], other)
const withCode = (code: string) => (error: unknown) => isOperationError(error, code)

before(async () => {
  host = await startGitHost()
  machine = await startBuildHost()
})
afterEach(() => host.clearFaults())
after(async () => {
  await host[Symbol.asyncDispose]()
  await machine[Symbol.asyncDispose]()
})

describe('readRepositoryFacts()', () => {
  it('reads from git objects what planning needs', async () => {
    const repository = await host.createRepository('facts', {
      'package.json': '{"name":"x"}',
      'nanoscale.json': '{"rootDirectory":"apps/web"}',
      'apps/web/index.html': '<p>',
      'apps/web/package.json': '{"name":"web"}',
      'apps/web/public/index.html': '<p>',
      '.gitmodules': '[submodule "x"]',
    })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    await fetchCommit(deps(), source, sha, 'main', signal())
    const facts = await readRepositoryFacts(deps(), source, sha, null, signal())
    assert.equal(facts.rootDirectory, 'apps/web')
    assert.equal(facts.texts['package.json'], '{"name":"web"}')
    assert.deepEqual(facts.configuration?.path, 'nanoscale.json')
    assert.ok(facts.files.includes('public/index.html'))
    assert.equal(facts.hasSubmodules, true)
    const other = await readRepositoryFacts(deps(), source, sha, 'nowhere', signal())
    assert.equal(other.rootDirectoryExists, false)
    for (const path of ['../../etc', '/etc', 'a/../../b', 'a\0b']) {
      await assert.rejects(
        readRepositoryFacts(deps(), source, sha, path, signal()),
        withCode('source.invalid_path'),
        `G-20 ${path}`,
      )
    }
  })

  it('G-12 counts symbolic links as absent', async () => {
    const repository = await host.createRepository('links', {
      Dockerfile: { linkTo: '/etc/shadow' },
      'package.json': { linkTo: '/etc/passwd' },
      public: { linkTo: '/' },
    })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    await fetchCommit(deps(), source, sha, 'main', signal())
    const facts = await readRepositoryFacts(deps(), source, sha, '.', signal())
    assert.deepEqual(facts.files, [])
    assert.deepEqual(facts.texts, {})
  })
})

describe('checkOut()', () => {
  it('G-05 refuses a submodule whose address is an option', async () => {
    const repository = await host.createRepository('submodule', {
      '.gitmodules': '[submodule "m"]\n\tpath = m\n\turl = --upload-pack=touch pwned\n',
    })
    const fetch = fetchCommit(
      deps(),
      sourceOf(repository.url),
      await repository.head(),
      'main',
      signal(),
    )
    await assert.rejects(fetch, withCode('source.refused'))
  })

  it('G-05 G-07 G-08 writes the files and runs nothing of the repository', async () => {
    const repository = await host.createRepository('checkout', {
      'a/b.txt': 'hello',
      link: { linkTo: 'a/b.txt' },
      '-rf': 'x',
      'new\nline': 'y',
      '.gitattributes': '*.txt filter=evil diff=evil merge=evil\n',
      '.gitmodules': '[submodule "m"]\n\tpath = m\n\turl = ../../other-private\n',
      'nested/config': '[core]\n\tfsmonitor = touch pwned\n\tbare = true\n',
      'nested/HEAD': 'ref: refs/heads/main\n',
    })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    await fetchCommit(deps(), source, sha, 'main', signal())
    await using lease = await machine.buildAccounts.acquire(signal())
    const workspace = await makeWorkspace(deps(), 'build-1', lease.account, signal())
    await checkOut(deps(), source, sha, workspace, signal())
    const root = join(workspace.path, 'source')
    assert.equal(await readFile(join(root, 'a/b.txt'), 'utf8'), 'hello')
    assert.equal(await readlink(join(root, 'link')), 'a/b.txt')
    assert.ok(existsSync(join(root, '-rf')))
    assert.equal(existsSync(join(root, 'pwned')), false)
    assert.equal(existsSync(join(root, '.git')), false)
    await machine.spawner.remove(workspace.place)
  })
})
