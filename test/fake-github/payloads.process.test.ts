import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import examples from '@octokit/webhooks-examples' with { type: 'json' }

import { ask, seedApp, seedWorld, startReceiver } from './_client.ts'
import type { Json, Receiver } from './_client.ts'
import type { CreatedApp } from './controls/app-controls.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'
import type { Installation } from './state.ts'

interface Examples {
  name: string
  examples: Json[]
}

/** The package describes itself as a module, but it is JSON. */
const EXAMPLES = examples as unknown as readonly Examples[]

/** Real payloads have these, which say nothing to a receiver and are not of every version. */
const NOT_OURS = new Set(['avatar_url', 'gravatar_id', 'email', 'username', 'date', 'requester'])

function findExamples(event: string, action?: string): Json[] {
  const examples = EXAMPLES.find(({ name }) => name === event)?.examples ?? []
  return examples.filter((example) => action === undefined || example.action === action)
}

/** Paths of the example that the payload does not have, or has of another type. */
function findGaps(example: Json, payload: Json, path = ''): string[] {
  if (example === null || payload === null) return []
  if (Array.isArray(example)) {
    if (!Array.isArray(payload)) return [path]
    if (example.length === 0 || payload.length === 0) return []
    return findGaps(example[0], payload[0], `${path}[]`)
  }
  if (typeof example !== typeof payload) return [`${path}: ${typeof payload}`]
  if (typeof example !== 'object') return []
  return Object.keys(example).flatMap((key) => {
    if (NOT_OURS.has(key)) return []
    const child = `${path}.${key}`
    if (!Object.hasOwn(payload, key)) return [`${child} is missing`]
    // What somebody is granted depends on the App.
    return key === 'permissions' ? [] : findGaps(example[key], payload[key], child)
  })
}

describe('payloads, beside those that GitHub sends', () => {
  let fake: FakeGithub
  let hook: Receiver
  let app: CreatedApp
  let installation: Installation
  const last = async (): Promise<Json> => {
    await fake.settled()
    return hook.received.at(-1)?.payload
  }
  const assertLike = (example: Json, payload: Json) => {
    assert.ok(example !== undefined)
    assert.deepEqual(findGaps(example, payload), [])
  }

  before(async () => {
    fake = await startFakeGithub()
    hook = await startReceiver()
    await seedWorld(fake)
    await fake.addRepository({ owner: 'acme', name: 'docs', files: { a: 'b' } })
    await fake.addRepository({ owner: 'ada', name: 'own', files: { a: 'b' } })
    app = await seedApp(fake, { hook: { url: hook.url, secret: 's' } })
    installation = fake.installApp(app, 'acme', { repositories: ['shop'] })
    fake.installApp(app, 'ada')
    await fake.settled()
  })
  after(async () => {
    await fake[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
  })

  it('push of a commit', async () => {
    const [example] = findExamples('push').filter(({ commits }) => commits.length > 0)
    const before = await fake.head('ada/own')
    const after = await fake.push('ada/own', { files: { a: 'c', b: 'd' }, message: 'Two files' })
    const payload = await last()
    assertLike(example, payload)
    assert.deepEqual(
      [
        payload.ref,
        payload.before,
        payload.after,
        payload.created,
        payload.deleted,
        payload.forced,
      ],
      ['refs/heads/main', before, after, false, false, false],
    )
    const [commit] = payload.commits
    assert.deepEqual(
      [commit.id, commit.message, commit.added, commit.modified, commit.removed],
      [after, 'Two files', ['b'], ['a'], []],
    )
    assert.deepEqual(payload.head_commit, commit)
    assert.equal(commit.author.username, 'ada')
  })

  it('push that deletes a branch, and one that creates it with nothing new', async () => {
    const main = await fake.head('acme/shop')
    await fake.updateRefs('acme/shop', { 'refs/heads/next': main })
    const created = await last()
    assert.deepEqual(
      [created.created, created.before, created.commits, created.base_ref],
      [true, '0'.repeat(40), [], 'refs/heads/main'],
    )
    assert.equal(created.head_commit.id, main)
    await fake.updateRefs('acme/shop', { 'refs/heads/next': null })
    const deleted = await last()
    assertLike(
      findExamples('push').find((example) => example.deleted),
      deleted,
    )
    assert.deepEqual(
      [deleted.deleted, deleted.after, deleted.head_commit, deleted.commits],
      [true, '0'.repeat(40), null, []],
    )
    assert.equal(deleted.organization.login, 'acme')
    assert.equal(deleted.installation.id, installation.id)
  })

  it('push with force, and back again', async () => {
    const before = await fake.head('acme/shop')
    await fake.push('acme/shop', { files: { other: 'story' }, force: true })
    assert.equal((await last()).forced, true)
    await fake.updateRefs('acme/shop', { 'refs/heads/main': before })
    const back = await last()
    assert.deepEqual([back.forced, back.after], [true, before])
  })

  it('P-11 no push of more than three tags', async () => {
    const sha = await fake.head('acme/shop')
    const tags = (names: string[]) =>
      Object.fromEntries(names.map((tag) => [`refs/tags/${tag}`, sha]))
    const count = hook.received.length
    await fake.updateRefs('acme/shop', tags(['v1', 'v2', 'v3', 'v4']))
    await fake.settled()
    assert.equal(hook.received.length, count)
    await fake.updateRefs('acme/shop', tags(['w1', 'w2']))
    await fake.settled()
    assert.equal(hook.received.length, count + 2)
    assertLike(
      findExamples('push').find(({ ref }) => ref.startsWith('refs/tags/')),
      await last(),
    )
  })

  it('installation: created, suspend, unsuspend, new_permissions_accepted, deleted', async () => {
    const second = await seedApp(fake, { name: 'Second', hook: { url: hook.url, secret: 's' } })
    const other = fake.installApp(second, 'acme')
    const steps: [string, () => void][] = [
      ['created', () => {}],
      ['suspend', () => fake.suspend(other)],
      ['unsuspend', () => fake.unsuspend(other)],
      ['new_permissions_accepted', () => fake.acceptPermissions(other)],
      ['deleted', () => fake.uninstall(other)],
    ]
    for (const [action, step] of steps) {
      step()
      const payload = await last()
      assert.equal(payload.action, action)
      assertLike(findExamples('installation', action)[0], payload)
    }
  })

  it('installation_repositories: added, removed', async () => {
    fake.changeSelection(installation, { repositories: ['shop', 'docs'] })
    const added = await last()
    assertLike(findExamples('installation_repositories', 'added')[0], added)
    assert.deepEqual(
      added.repositories_added.map((repository: Json) => repository.full_name),
      ['acme/docs'],
    )
    fake.changeSelection(installation, { repositories: ['shop'] })
    const removed = await last()
    assertLike(findExamples('installation_repositories', 'removed')[0], removed)
    assert.equal(removed.repositories_removed.length, 1)
  })

  it('repository: renamed, archived, edited, transferred, but never deleted', async () => {
    fake.rename('acme/shop', 'store')
    const renamed = await last()
    assertLike(findExamples('repository', 'renamed')[0], renamed)
    assert.equal(renamed.changes.repository.name.from, 'shop')
    fake.setArchived('acme/store', true)
    assert.equal((await last()).repository.archived, true)
    fake.setArchived('acme/store', false)
    await fake.updateRefs('acme/store', { 'refs/heads/trunk': await fake.head('acme/store') })
    await fake.setDefaultBranch('acme/store', 'trunk')
    assert.equal((await last()).changes.default_branch.from, 'main')
    fake.transfer('acme/store', 'ada')
    const transferred = await last()
    const [{ changes: _, ...example }] = findExamples('repository', 'transferred')
    assertLike(example, transferred)
    assert.equal(transferred.action, 'transferred')
    assert.equal(transferred.changes.owner.from.organization.login, 'acme')
    assert.equal(transferred.repository.full_name, 'ada/store')
    const count = hook.received.length
    fake.deleteRepository('ada/store')
    await fake.settled()
    assert.equal(hook.received.length, count)
  })

  it('I-14 repository transferred to where the App is not: nobody hears of it', async () => {
    const count = hook.received.length
    fake.transfer('acme/docs', 'eve')
    await fake.settled()
    assert.equal(hook.received.length, count)
  })

  it('I-16 installation_target renamed; the login is free for somebody else', async () => {
    fake.renameAccount('ada', 'lovelace')
    const payload = await last()
    assert.deepEqual(
      [payload.action, payload.account.login, payload.changes.login.from, payload.target_type],
      ['renamed', 'lovelace', 'ada', 'User'],
    )
    assert.notEqual(fake.addUser({ login: 'ada' }).id, payload.account.id)
  })

  it('ping of a repository hook', async () => {
    const { token } = fake.createPersonalToken('lovelace')
    const body = { config: { url: hook.url, content_type: 'json' }, events: ['*'] }
    await ask(fake, 'POST /repos/lovelace/own/hooks', { auth: `token ${token}`, body })
    assertLike(findExamples('ping')[0], await last())
  })
})
