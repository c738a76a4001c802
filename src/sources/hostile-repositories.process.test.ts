import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import type { BuildHost } from '../../test/_build-host.ts'
import { startGitHost } from '../../test/_git-host.ts'
import type { GitHost } from '../../test/_git-host.ts'
import { writeRawCommit } from '../../test/_raw-tree.ts'
import type { RawEntry } from '../../test/_raw-tree.ts'
import { isOperationError } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import { checkOut, makeWorkspace } from './check-out.ts'
import { fetchCommit } from './fetch-commit.ts'
import { mirrorIdOf } from './mirror.ts'
import { readBranchHead } from './read-branch-head.ts'
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

/** Checks a commit out that is in the mirror, and shows what lies where its files would be. */
async function withCheckOut(
  source: ReturnType<typeof sourceOf>,
  sha: string,
  look: (root: string) => Promise<void> | void,
): Promise<void> {
  await using lease = await machine.buildAccounts.acquire(signal())
  const workspace = await makeWorkspace(deps(), `build-${newId()}`, lease.account, signal())
  try {
    await checkOut(deps(), source, sha, workspace, signal())
    await look(join(workspace.path, 'source'))
  } finally {
    // git leaves an index only when it wrote the files.
    const found = readdirSync(workspace.path).filter((name) => name !== 'index')
    assert.deepEqual(found.sort(), ['home', 'source', 'tmp'])
    await machine.spawner.remove(workspace.place)
  }
}

const file = { file: 'touch pwned' }
const hooks = {
  tree: [{ name: 'hooks', content: { tree: [{ name: 'post-checkout', content: file }] } }],
}

/** Trees that only somebody who means harm makes: what a careless checkout writes outside, or into a `.git`. */
const HOSTILE_TREES: Readonly<Record<string, readonly RawEntry[]>> = {
  'a tree with ..': [{ name: '..', content: { tree: [{ name: 'escaped', content: file }] } }],
  'a tree with .git': [{ name: '.git', content: hooks }],
  'a tree with .GIT': [{ name: '.GIT', content: hooks }],
  'a tree with git~1': [{ name: 'git~1', content: hooks }],
  'a tree with .git and an ignored character': [{ name: '.g\u200cit', content: hooks }],
  'a tree with .git and a space': [{ name: '.git ', content: hooks }],
  'a directory below a link': [
    { name: 'link', content: { linkTo: '/tmp' } },
    { name: 'link', content: { tree: [{ name: 'escaped', content: file }] } },
  ],
  'a .gitmodules that is a link': [{ name: '.gitmodules', content: { linkTo: '/etc/passwd' } }],
  'a submodule whose path climbs': [
    {
      name: '.gitmodules',
      content: { file: '[submodule "../../x"]\n\tpath = ../../x\n\turl = https://example.com/x\n' },
    },
  ],
}

describe('fetchCommit() and checkOut()', () => {
  for (const [name, entries] of Object.entries(HOSTILE_TREES)) {
    it(`G-06 refuse ${name}, and write nothing outside`, async () => {
      const repository = await host.createRepository(`tree-${newId()}`, { a: '1' })
      const source = sourceOf(repository.url)
      const sha = writeRawCommit(repository.directory, entries)
      await repository.setBranch('hostile', sha)
      await assert.rejects(
        fetchCommit(deps(), source, sha, 'hostile', signal()),
        withCode('source.refused'),
      )
      // The check-out does not rely on that: now the objects are in the mirror all the same.
      await fetchCommit(deps(), source, await repository.head(), 'main', signal())
      const mirror = join(machine.dataDirectory, 'mirrors', mirrorIdOf(source, [host.hostEntry]))
      writeRawCommit(mirror, entries)
      await withCheckOut(source, sha, (root) => {
        assert.equal(existsSync(join(root, '.git')), false)
      }).catch((error: unknown) => {
        assert.ok(isOperationError(error, 'source.check_out_failed'), String(error))
      })
      assert.equal(existsSync('/tmp/escaped'), false)
    })
  }

  it('G-06 leave a submodule whose path ends in a carriage return an empty directory', async () => {
    const repository = await host.createRepository('carriage-return', { a: '1' })
    const source = sourceOf(repository.url)
    const commit = await repository.head()
    const modules = '[submodule "sub"]\n\tpath = "sub\r"\n\turl = https://example.com/x\n'
    const sha = writeRawCommit(repository.directory, [
      { name: '.gitmodules', content: { file: modules } },
      { name: 'sub', content: { linkTo: '.git/modules/sub/hooks' } },
      { name: 'sub\r', content: { commit } },
    ])
    await repository.setBranch('main', sha)
    await fetchCommit(deps(), source, sha, 'main', signal())
    await withCheckOut(source, sha, (root) => {
      assert.deepEqual(readdirSync(root).sort(), ['.gitmodules', 'sub', 'sub\r'])
      assert.deepEqual(readdirSync(join(root, 'sub\r')), [])
    })
  })

  it('G-09 download nothing for LFS, wherever .lfsconfig says it is', async () => {
    await using evil = await startGitHost()
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 5\n`
    const repository = await host.createRepository('lfs', {
      '.lfsconfig': `[lfs]\n\turl = ${evil.url}/lfs\n[filter "lfs"]\n\tsmudge = touch pwned\n`,
      '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
      'large.bin': pointer,
    })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    await fetchCommit(deps(), source, sha, 'main', signal())
    const facts = await readRepositoryFacts(deps(), source, sha, null, signal())
    assert.equal(facts.usesLfs, true)
    await withCheckOut(source, sha, async (root) => {
      assert.equal(await readFile(join(root, 'large.bin'), 'utf8'), pointer)
      assert.equal(existsSync(join(root, 'pwned')), false)
    })
    assert.deepEqual(evil.requests, [])
    assert.equal(host.count('lfs.git/info/lfs'), 0)
  })

  it('G-14 take names with line breaks, escapes and bytes that are no text as data', async () => {
    const names = ['-rf', '--help', 'new\nline', '\u001b[31mred', '$(id)', "'; id #", '\xff\xfe']
    const bytes = names.map((name) => Buffer.from(name, 'latin1'))
    const repository = await host.createRepository('names', { a: '1' })
    const entries = bytes.map((name) => ({ name, content: { file: 'data' } }))
    const sha = writeRawCommit(repository.directory, entries)
    await repository.setBranch('main', sha)
    const source = sourceOf(repository.url)
    await fetchCommit(deps(), source, sha, 'main', signal())
    await withCheckOut(source, sha, (root) => {
      assert.deepEqual(readdirSync(root, 'latin1').sort(), names.toSorted())
    })
  })

  it('G-17 leave no repository of git in the workspace', async () => {
    const repository = await host.createRepository('no-git', { 'd/a': '1' })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    await fetchCommit(deps(), source, sha, 'main', signal())
    await withCheckOut(source, sha, (root) => {
      const entries = readdirSync(join(root, '..'), { recursive: true, encoding: 'utf8' })
      assert.deepEqual(
        entries.filter((path) => /(^|\/)\.?git/.test(path)),
        [],
      )
    })
  })
})

describe('readBranchHead()', () => {
  it('G-11 gives nothing to a host that asks for a credential, also behind a redirect', async () => {
    await using evil = await startGitHost()
    const repository = await host.createRepository('asks', { a: '1' })
    const headers = { 'www-authenticate': 'Basic realm="x"' }
    const look = () => readBranchHead(deps(), sourceOf(repository.url), 'main', signal())
    evil.inject({ kind: 'status', status: 401, headers }, { times: 99 })
    host.inject({ kind: 'redirect', location: `${evil.url}/asks.git/info/refs` }, { times: 9 })
    await assert.rejects(look(), withCode('source.refused'))
    assert.deepEqual(evil.requests, [])
    host.clearFaults()
    host.inject({ kind: 'status', status: 401, headers }, { times: 99 })
    await assert.rejects(look(), withCode('source.refused'))
    assert.deepEqual([...host.credentials, ...evil.credentials], [])
  })

  it('S-07 ends a host that answers without end, at a limit of memory', async () => {
    const repository = await host.createRepository('endless', { a: '1' })
    host.inject({ kind: 'endless' }, { times: 9 })
    const limits = { gitMemoryBytes: 64 * 1024 ** 2, lookTimeoutMs: 25_000, retryAfterMs: [] }
    const look = readBranchHead(deps({ limits }), sourceOf(repository.url), 'main', signal())
    await assert.rejects(look, (error) => {
      assert.ok(isOperationError(error, 'source.refused'), String(error))
      assert.match(error.message, /more memory/)
      return true
    })
  })
})
