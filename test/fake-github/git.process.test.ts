import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { runGit } from '../_git-repository.ts'
import { mint, seedApp, seedWorld, startReceiver } from './_client.ts'
import type { Receiver } from './_client.ts'
import type { CreatedApp } from './controls/app-controls.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'
import type { Installation } from './state.ts'

const AUTHOR = {
  GIT_AUTHOR_NAME: 'Bob',
  GIT_AUTHOR_EMAIL: 'bob@example.com',
  GIT_COMMITTER_NAME: 'Bob',
  GIT_COMMITTER_EMAIL: 'bob@example.com',
  GIT_TERMINAL_PROMPT: '0',
}

describe('Git', () => {
  let fake: FakeGithub
  let hook: Receiver
  let app: CreatedApp
  let installation: Installation
  let directory: string
  let clones = 0

  before(async () => {
    fake = await startFakeGithub()
    hook = await startReceiver()
    directory = await mkdtemp(join(tmpdir(), 'fake-github-git-'))
    await seedWorld(fake)
    await fake.addRepository({ owner: 'acme', name: 'open', files: { a: 'b' } })
    app = await seedApp(fake, {
      permissions: { contents: 'write' },
      hook: { url: hook.url, secret: 's' },
    })
    installation = fake.installApp(app, 'acme')
    await fake.settled()
  })
  after(async () => {
    await fake[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  const git = (cwd: string, args: readonly string[]) => runGit(cwd, args, { env: AUTHOR })
  const toUrl = (token: string | null, name: string) => {
    const password = token?.replace('Bearer ', '') ?? null
    const user = password === null ? '' : `x-access-token:${password}@`
    return `${fake.webUrl.replace('//', `//${user}`)}/${name}.git`
  }
  const clone = async (token: string | null, name: string): Promise<string> => {
    const path = join(directory, `clone-${(clones += 1)}`)
    await git(directory, ['clone', '--quiet', toUrl(token, name), path])
    return path
  }
  const commit = async (path: string, text: string) => {
    await writeFile(join(path, 'index.html'), text)
    await git(path, ['add', '.'])
    await git(path, ['commit', '--quiet', '-m', text])
    return await git(path, ['rev-parse', 'HEAD'])
  }
  const minted = (permissions: object, names = ['shop']) => {
    return mint(fake, app, installation.id, { permissions, repositories: names })
  }

  it('clones a private repository with a token of its installation, and not without', async () => {
    const path = await clone(await minted({ contents: 'read' }), 'acme/shop')
    assert.equal(await readFile(join(path, 'index.html'), 'utf8'), 'shop')
    await assert.rejects(clone(null, 'acme/shop'), /could not read Username/)
    await clone(null, 'acme/open')
  })

  it('keeps a token to its repositories', async () => {
    const token = await minted({ contents: 'read' }, ['open'])
    await assert.rejects(clone(token, 'acme/shop'), /not found/)
    await assert.rejects(clone('ghs_nobody', 'acme/shop'), /Authentication failed/)
  })

  it('fetches a commit by its id', async () => {
    const path = await clone(await minted({ contents: 'read' }), 'acme/shop')
    const sha = await fake.push('acme/shop', { files: { 'index.html': 'newer' } })
    await git(path, ['fetch', '--quiet', '--depth=1', 'origin', sha])
    assert.equal(await git(path, ['show', `${sha}:index.html`]), 'newer')
  })

  it('tells the hooks of a push, as who pushed', async () => {
    fake.addCollaborator('acme/shop', 'bob', 'push')
    const path = await clone(fake.createPersonalToken('bob').token, 'acme/shop')
    const sha = await commit(path, 'pushed')
    hook.received.splice(0)
    await git(path, ['push', '--quiet'])
    assert.equal(await fake.head('acme/shop'), sha)
    await fake.settled()
    const [{ payload } = { payload: null }] = hook.received
    assert.deepEqual(
      [payload.ref, payload.after, payload.forced, payload.pusher.name, payload.sender.login],
      ['refs/heads/main', sha, false, 'bob', 'bob'],
    )
    assert.deepEqual(payload.commits[0].modified, ['index.html'])
    assert.equal(payload.installation.id, installation.id)
  })

  it('tells of every ref of a push, forced or deleted', async () => {
    const path = await clone(fake.createPersonalToken('ada').token, 'acme/shop')
    await commit(path, 'replaced')
    await git(path, ['push', '--quiet', 'origin', 'HEAD:feature', 'HEAD:other'])
    await git(path, ['commit', '--quiet', '--amend', '-m', 'amended'])
    await fake.settled()
    hook.received.splice(0)
    await git(path, ['push', '--quiet', '--force', 'origin', 'HEAD:feature', ':other'])
    await fake.settled()
    const told = hook.received.map(({ payload: { ref, forced, deleted } }) => {
      return `${ref}${forced ? ' forced' : ''}${deleted ? ' deleted' : ''}`
    })
    assert.deepEqual(
      new Set(told),
      new Set(['refs/heads/feature forced', 'refs/heads/other deleted']),
    )
  })

  it('P-10 tells of the newest 2,048 commits of a push', async () => {
    const path = await clone(fake.createPersonalToken('ada').token, 'acme/shop')
    const commits = Array.from({ length: 2049 }, (_item, index) => {
      const message = `commit ${index} ${'x'.repeat(600)}`
      return `commit refs/heads/long\ncommitter Ada <ada@example.com> ${index} +0000\ndata ${message.length}\n${message}\n`
    })
    await runGit(path, ['fast-import', '--quiet'], { stdin: commits.join('') })
    hook.received.splice(0)
    await git(path, ['push', '--quiet', 'origin', 'long'])
    await fake.settled()
    const [{ payload } = { payload: null }] = hook.received
    assert.equal(payload.commits.length, 2048)
    assert.match(payload.commits[0].message, /^commit 1 /)
    assert.equal(payload.commits.at(-1).id, payload.after)
    assert.deepEqual(payload.head_commit, payload.commits.at(-1))
  })

  it('refuses a push without the right to write', async () => {
    const path = await clone(await minted({ contents: 'read' }), 'acme/shop')
    await commit(path, 'not allowed')
    await assert.rejects(git(path, ['push', '--quiet']), /403/)
    const writer = toUrl(await minted({ contents: 'write' }), 'acme/shop')
    await fake.settled()
    hook.received.splice(0)
    await git(path, ['push', '--quiet', writer, 'HEAD:main'])
    await fake.settled()
    const { login, type } = hook.received[0]?.payload.sender ?? {}
    assert.deepEqual([login, type], ['deployer[bot]', 'Bot'])
  })

  it('refuses a push to an archived repository', async () => {
    const path = await clone(fake.createPersonalToken('ada').token, 'acme/open')
    await commit(path, 'too late')
    fake.setArchived('acme/open', true)
    await assert.rejects(git(path, ['push', '--quiet']), /403/)
  })

  it('P-16 refuses a disabled repository', async () => {
    const files = { a: 'b' }
    await fake.addRepository({ owner: 'acme', name: 'blocked', disabled: true, files })
    await assert.rejects(clone(fake.createPersonalToken('ada').token, 'acme/blocked'), /403/)
  })

  it('stops at once for a suspended installation', async () => {
    const token = await minted({ contents: 'read' })
    fake.suspend(installation)
    await assert.rejects(clone(token, 'acme/shop'), /403/)
    fake.unsuspend(installation)
    await clone(token, 'acme/shop')
  })

  it('redirects from a former name', async () => {
    const token = await minted({ contents: 'read' })
    fake.rename('acme/shop', 'store')
    await clone(token, 'acme/shop')
    const config = ['-c', 'http.followRedirects=false']
    await assert.rejects(git(directory, [...config, 'ls-remote', toUrl(token, 'acme/shop')]))
  })
})
