import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'

import { startBuildHost } from '../../test/_build-host.ts'
import type { BuildHost } from '../../test/_build-host.ts'
import { startGitHost } from '../../test/_git-host.ts'
import type { GitHost } from '../../test/_git-host.ts'
import { isOperationError } from '../lib/errors.ts'
import { changedPathsBetween, commitMessagesSince } from './commit-history.ts'
import { fetchCommit } from './fetch-commit.ts'
import { mirrorIdOf } from './mirror.ts'
import { readBranchHead } from './read-branch-head.ts'
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

describe('readBranchHead()', () => {
  it('reads the head, and says when the branch is gone', async () => {
    const repository = await host.createRepository('head', { a: '1' })
    const source = sourceOf(repository.url)
    const sha = await repository.push({ a: '2' })
    assert.deepEqual(await readBranchHead(deps(), source, 'main', signal()), { kind: 'found', sha })
    await repository.push({ a: '3' }, 'x', 'refs/heads/gone')
    assert.deepEqual(await readBranchHead(deps(), source, 'gone', signal()), {
      kind: 'branch_gone',
    })
    assert.deepEqual(await readdir(join(machine.dataDirectory, 'builds')), [])
  })

  for (const branch of [
    '$(id)',
    ';id',
    '`id`',
    'a&b',
    'feat/ünïcödé',
    '@x',
    'a\'"b',
    'refs/heads/x',
  ]) {
    it(`G-01 takes the hostile branch name ${branch} as data`, async () => {
      const name = `hostile-${Buffer.from(branch).toString('hex')}`
      const repository = await host.createRepository(name, { a: '1' })
      const sha = await repository.push({ a: '2' }, 'x', branch)
      const source = sourceOf(repository.url)
      const found = await readBranchHead(deps(), source, branch, signal())
      assert.deepEqual(found, { kind: 'found', sha })
      assert.equal((await fetchCommit(deps(), source, sha, branch, signal())).sha, sha)
    })
  }

  it('repeats a failure that may pass, and no other', async () => {
    const repository = await host.createRepository('retry', { a: '1' })
    const look = () => readBranchHead(deps(), sourceOf(repository.url), 'main', signal())
    host.inject({ kind: 'status', status: 503 }, { times: 2 })
    assert.equal((await look()).kind, 'found')
    host.inject({ kind: 'reset' }, { times: 9 })
    await assert.rejects(look(), withCode('source.unreachable'))
    host.clearFaults()
    const before = host.count('/retry.git/')
    host.inject({ kind: 'status', status: 404 }, { times: 9 })
    await assert.rejects(look(), withCode('source.not_found'))
    assert.equal(host.count('/retry.git/'), before + 1)
  })

  it('tells a private or missing repository from an unreachable host', async () => {
    const repository = await host.createRepository('private', { a: '1' })
    const headers = { 'www-authenticate': 'Basic realm="x"' }
    host.inject({ kind: 'status', status: 401, headers }, { times: 9 })
    const look = readBranchHead(deps(), sourceOf(repository.url), 'main', signal())
    await assert.rejects(look, (error) => {
      assert.ok(isOperationError(error, 'source.refused'))
      assert.match(error.message, /asks for a credential/)
      return true
    })
  })

  it('S-07 gives up on a host that never answers', async () => {
    const repository = await host.createRepository('hangs', { a: '1' })
    host.inject({ kind: 'hang' }, { times: 9 })
    const limits = { lookTimeoutMs: 300, retryAfterMs: [] }
    const look = readBranchHead(deps({ limits }), sourceOf(repository.url), 'main', signal())
    await assert.rejects(look, withCode('source.unreachable'))
  })

  it('S-02 connects to the address that was checked, and resolves once', async () => {
    const repository = await host.createRepository('pinned', { a: '1' })
    const answers = [['127.0.0.1'], ['192.0.2.1']]
    const lookup = () => Promise.resolve(answers.shift() ?? [])
    const pinned = machine.sourceDeps([`git.test:${host.port}@private`], { lookup })
    const url = repository.url.replace('127.0.0.1', 'git.test')
    assert.equal((await readBranchHead(pinned, sourceOf(url), 'main', signal())).kind, 'found')
    assert.equal(answers.length, 1)
  })

  it('S-03 G-10 does not follow a redirect of an allowed host', async () => {
    await using evil = await startGitHost()
    const repository = await host.createRepository('redirects', { a: '1' })
    host.inject({ kind: 'redirect', location: `${evil.url}/redirects.git/info/refs` }, { times: 9 })
    const look = readBranchHead(deps(), sourceOf(repository.url), 'main', signal())
    await assert.rejects(look, withCode('source.refused'))
    host.clearFaults()
    host.inject({ kind: 'redirect', location: `${evil.url}/x` }, { times: 9, only: 'POST' })
    const again = readBranchHead(deps(), sourceOf(repository.url), 'main', signal())
    await assert.rejects(again, withCode('source.refused'))
    assert.deepEqual(evil.requests, [])
  })
})

describe('fetchCommit()', () => {
  it('fetches a commit with its facts, also one that the branch has moved on from', async () => {
    const repository = await host.createRepository('fetch', { a: '1' })
    const first = await repository.push({ a: '2' }, 'Say hello\n\nMore')
    await repository.push({ a: '3' })
    const commit = await fetchCommit(deps(), sourceOf(repository.url), first, 'main', signal())
    assert.equal(commit.message, 'Say hello\n\nMore')
    assert.equal(commit.authorName, 'Ada Example')
    assert.match(commit.treeId, /^[0-9a-f]{40}$/)
    assert.match(commit.committedAt, /^2026-01-01T00:01:00.000Z$/)
  })

  it('G-15 refuses a commit that the branch does not contain, though the host has it', async () => {
    const repository = await host.createRepository('unreachable', { a: '1' })
    const source = sourceOf(repository.url)
    const foreign = await repository.push({ a: 'evil' }, 'x', 'other')
    await assert.rejects(
      fetchCommit(deps(), source, foreign, 'main', signal()),
      withCode('source.not_found'),
    )
    const old = await repository.push({ a: '2' })
    await repository.forcePush({ a: '3' })
    await assert.rejects(
      fetchCommit(deps(), source, old, 'main', signal()),
      withCode('source.not_found'),
    )
  })

  for (const sha of ['HEAD', '@{u}', '-x', 'abc1234', 'A'.repeat(40), '--upload-pack=x']) {
    it(`G-16 refuses ${sha} as a commit`, async () => {
      const source = sourceOf(`${host.url}/any.git`)
      await assert.rejects(
        fetchCommit(deps(), source, sha, 'main', signal()),
        withCode('source.invalid_sha'),
      )
    })
  }

  it('recovers from a pack that breaks off', async () => {
    const repository = await host.createRepository('broken', { a: 'x'.repeat(5000) })
    const sha = await repository.head()
    host.inject({ kind: 'truncate', bytes: 300 }, { times: 2, only: 'POST' })
    const commit = await fetchCommit(deps(), sourceOf(repository.url), sha, 'main', signal())
    assert.equal(commit.sha, sha)
  })

  it('makes a damaged mirror anew', async () => {
    const repository = await host.createRepository('damaged', { a: '1' })
    const source = sourceOf(repository.url)
    await fetchCommit(deps(), source, await repository.head(), 'main', signal())
    const id = mirrorIdOf(source, [host.hostEntry])
    await writeFile(join(machine.dataDirectory, 'mirrors', id, 'shallow.lock'), '')
    const sha = await repository.push({ a: '2' })
    assert.equal((await fetchCommit(deps(), source, sha, 'main', signal())).sha, sha)
    await rm(join(machine.dataDirectory, 'mirrors', id, 'objects'), { recursive: true })
    const next = await repository.push({ a: '3' })
    assert.equal((await fetchCommit(deps(), source, next, 'main', signal())).sha, next)
  })

  it('G-13 ends a fetch that outgrows the quota, and gives the space back', async () => {
    const repository = await host.createRepository('huge', { big: randomBytes(6_000_000) })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    const limits = { mirrorBytes: 1_000_000, usageIntervalMs: 10, retryAfterMs: [] }
    await assert.rejects(
      fetchCommit(deps({ limits }), source, sha, 'main', signal()),
      (error) =>
        isOperationError(error, 'source.refused') && /more than|larger/.test(error.message),
    )
    const id = mirrorIdOf(source, [host.hostEntry])
    assert.equal(existsSync(join(machine.dataDirectory, 'mirrors', id)), false)
  })

  it('does not ask the host again for a commit that it brought', async () => {
    const repository = await host.createRepository('again', { a: '1' })
    const source = sourceOf(repository.url)
    const sha = await repository.head()
    const first = await fetchCommit(deps(), source, sha, 'main', signal())
    const asked = host.count('again')
    await repository.forcePush({ a: '2' })
    assert.deepEqual(await fetchCommit(deps(), source, sha, 'main', signal()), first)
    assert.equal(host.count('again'), asked)
  })

  it('serves two fetches of one repository one after the other', async () => {
    const repository = await host.createRepository('twice', { a: '1' })
    const sha = await repository.head()
    const fetch = () => fetchCommit(deps(), sourceOf(repository.url), sha, 'main', signal())
    const commits = await Promise.all([fetch(), fetch(), fetch(), fetch()])
    assert.ok(commits.every((commit) => commit.sha === sha))
  })
})

describe('commitMessagesSince()', () => {
  it('lists the messages after a commit, newest first', async () => {
    const repository = await host.createRepository('messages', { a: '1' })
    const from = await repository.head()
    await repository.push({ a: '2' }, 'Two [skip ci]\n\nbody')
    const to = await repository.push({ a: '3' }, 'Three')
    const source = sourceOf(repository.url)
    const read = (from: string, to: string) =>
      commitMessagesSince(deps(), source, from, to, signal())
    assert.deepEqual(await read(from, to), ['Three', 'Two [skip ci]\n\nbody'])
    assert.equal(await read(to, from), 'not_computable')
    const other = await repository.forcePush({ a: '4' })
    assert.equal(await read(from, other), 'not_computable')
  })

  it('does not compute over more than fifty commits', async () => {
    const repository = await host.createRepository('long', { a: '1' })
    const from = await repository.head()
    let to = from
    for (let count = 0; count < 51; count++) to = await repository.push({ a: `${count}` })
    const source = sourceOf(repository.url)
    assert.equal(await commitMessagesSince(deps(), source, from, to, signal()), 'not_computable')
  })
})

describe('changedPathsBetween()', () => {
  it('lists what differs between two trees, whatever the history', async () => {
    const repository = await host.createRepository('paths', { a: '1', 'd/b': '1', c: '1' })
    const from = await repository.head()
    const to = await repository.forcePush({ a: '1', 'd/b': '2', 'new\nline': '1' })
    const source = sourceOf(repository.url)
    const paths = await changedPathsBetween(deps(), source, from, to, signal())
    assert.deepEqual(paths, ['c', 'd/b', 'new\nline'])
    const missing = 'f'.repeat(40)
    assert.equal(await changedPathsBetween(deps(), source, missing, to, signal()), 'not_computable')
  })
})
