import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { startBuildHost } from '../../test/_build-host.ts'
import type { BuildHost } from '../../test/_build-host.ts'
import { startGitHost } from '../../test/_git-host.ts'
import { startFakeGithub } from '../../test/fake-github/start-fake-github.ts'
import type { FakeGithub } from '../../test/fake-github/start-fake-github.ts'
import { isOperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import { fetchCommit } from './fetch-commit.ts'
import { readBranchHead } from './read-branch-head.ts'
import type { Source, SourceDeps } from './source-deps.ts'

let github: FakeGithub
let machine: BuildHost
let token: string
let head: string
const signal = () => AbortSignal.timeout(30_000)
const withCode = (code: string) => (error: unknown) => isOperationError(error, code)
const shop = (): Source => ({
  organizationId: 'org-1',
  repoUrl: `${github.webUrl}/acme/shop.git`,
  projectId: 'project-1',
})

before(async () => {
  github = await startFakeGithub()
  github.addUser({ login: 'ada' })
  github.addOrganization({ login: 'acme', members: { ada: 'admin' } })
  const repository = { owner: 'acme', name: 'shop', private: true, files: { a: '1' } }
  head = await github.head(await github.addRepository(repository))
  token = github.createPersonalToken('ada').token
  machine = await startBuildHost()
})
afterEach(() => github.faults.clear())
after(async () => {
  await github[Symbol.asyncDispose]()
  await machine[Symbol.asyncDispose]()
})

/** Only `project-1` has a credential. */
function deps(other: { origin?: string; password?: string; hosts?: string[] } = {}): SourceDeps {
  const { origin = github.webUrl, password = token, hosts = [github.hostEntry] } = other
  return machine.sourceDeps(hosts, {
    linked: {
      readHead: () => Promise.resolve({ kind: 'ask_git' }),
      forProject: ({ projectId, repoUrl }) => {
        const credential = { origin, username: 'x-access-token', password: new Secret(password) }
        return Promise.resolve(projectId === 'project-1' ? { repoUrl, credential } : null)
      },
    },
  })
}

describe('a credential of a repository', () => {
  it('opens a private repository to its own project alone', async () => {
    const found = await readBranchHead(deps(), shop(), 'main', signal())
    assert.deepEqual(found, { kind: 'found', sha: head })
    for (const projectId of ['project-2', undefined]) {
      const { projectId: _, ...rest } = shop()
      const source = projectId === undefined ? rest : { ...rest, projectId }
      const look = readBranchHead(deps(), source, 'main', signal())
      await assert.rejects(look, withCode('source.refused'))
    }
  })

  it('G-17 is in no argument, no environment and no file while git fetches', async () => {
    const source = { ...shop(), organizationId: 'org-traces' }
    github.faults.request({ kind: 'delay', ms: 300 }, { times: 9, only: 'git-upload-pack' })
    const stop = new AbortController()
    const sampling = sampleProcesses(stop.signal)
    const commit = await fetchCommit(deps(), source, head, 'main', signal())
    stop.abort()
    const samples = await sampling
    assert.equal(commit.sha, head)
    const fetches = samples.filter((text) => text.includes('/acme/shop.git'))
    assert.ok(fetches.length > 0, 'git was never seen')
    assert.ok(samples.some((text) => text.includes('GIT_CONFIG_COUNT')))
    const leaks = (text: string) =>
      text.includes(token) ||
      text.includes(Buffer.from(`x-access-token:${token}`).toString('base64'))
    assert.deepEqual(samples.filter(leaks), [])
    for (const file of await filesBelow(machine.dataDirectory)) {
      assert.ok(!leaks(await readFile(file, 'latin1')), file)
    }
  })

  it('is asked for once, and what the host refuses is not tried again', async () => {
    const before = github.requests.length
    const look = readBranchHead(deps({ password: 'wrong-password' }), shop(), 'main', signal())
    await assert.rejects(look, withCode('source.refused'))
    const sent = github.requests.slice(before).filter(({ path }) => path.includes('info/refs'))
    assert.equal(sent.length, 2)
  })

  it('is for one host: that of another is not even connected with', async () => {
    const look = readBranchHead(deps({ origin: 'https://github.com' }), shop(), 'main', signal())
    await assert.rejects(look, {
      code: 'source.refused',
      message: /for https:\/\/github.com alone/,
    })
  })

  it('S-03 G-10 G-11 never goes where a host redirects to', async () => {
    await using elsewhere = await startGitHost()
    const repository = await elsewhere.createRepository('shop', { a: '1' })
    // Asks for a credential, and sends whoever gave it away.
    const server = createServer((request, response) => {
      const known = request.headers.authorization !== undefined
      const { pathname, search } = new URL(request.url ?? '/', 'http://host')
      const location = `${elsewhere.url}/${pathname.split('/').slice(2).join('/')}${search}`
      const headers = known ? { location } : { 'www-authenticate': 'Basic realm="x"' }
      response.writeHead(known ? 302 : 401, headers).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const origin = `http://127.0.0.1:${port}`
      const hosts = [`127.0.0.1:${port}@private`, elsewhere.hostEntry]
      const source = { ...shop(), repoUrl: `${origin}/acme/shop.git` }
      const look = readBranchHead(deps({ origin, hosts }), source, 'main', signal())
      await assert.rejects(look, withCode('source.refused'))
      assert.deepEqual(elsewhere.credentials, [])
      assert.equal(elsewhere.requests.length, 0)
      assert.ok(existsSync(repository.directory))
    } finally {
      server.close()
    }
  })
})

/** Arguments and environment of every process, until stopped. */
async function sampleProcesses(stopped: AbortSignal): Promise<string[]> {
  const seen = new Set<string>()
  while (!stopped.aborted) {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      for (const file of ['cmdline', 'environ']) {
        // It may have ended, or be somebody else's.
        const text = await readFile(join('/proc', pid, file), 'utf8').catch(() => '')
        if (text !== '') seen.add(text)
      }
    }
    await delay(2)
  }
  return [...seen]
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}
