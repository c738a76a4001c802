import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ask } from '../../../test/fake-github/_client.ts'
import { createJumpingClock, never, startScene } from './_scene.ts'

const isCode = (code: string) => (error: { code?: string }) => error.code === code

describe('readBranchHead()', () => {
  it('P-18 is told for nothing that a head has not changed', async () => {
    await using scene = await startScene()
    const { fake, host, app, place, shop, installation } = scene
    const first = await host.readBranchHead(app, place, 'main', null, never)
    assert.deepEqual([first.kind === 'found' && first.head], [await fake.head(shop)])
    assert.ok(first.kind === 'found' && first.etag !== null)
    const before = host.remainingBudget(app, installation.id)
    for (let look = 0; look < 5; look += 1) {
      const again = await host.readBranchHead(app, place, 'main', first.etag, never)
      assert.deepEqual(again, { kind: 'unchanged' })
    }
    assert.deepEqual(host.remainingBudget(app, installation.id), before)
    const pushed = await fake.push(shop, { files: { a: '1' } })
    const next = await host.readBranchHead(app, place, 'main', first.etag, never)
    assert.equal(next.kind === 'found' && next.head, pushed)
  })

  it('P-03 takes names byte by byte, whatever is in them', async () => {
    await using scene = await startScene()
    const { fake, host, app, place, shop } = scene
    const names = ['feat/ünïcödé', 'a#b', 'a%2Fb', 'a&b;c', '$(id)', 'refs/heads/main', 'x+y=z']
    for (const branch of names) {
      const sha = await fake.push(shop, { branch, files: { [`f${branch.length}`]: branch } })
      const head = await host.readBranchHead(app, place, branch, null, never)
      assert.equal(head.kind === 'found' && head.head, sha, branch)
    }
    for (const branch of ['Main', 'ｍain', 'feat', 'mai']) {
      const head = await host.readBranchHead(app, place, branch, null, never)
      assert.deepEqual(head, { kind: 'branch_gone' }, branch)
    }
    const asked = fake.requests.length
    for (const branch of ['..', '../../..', 'a/./b', 'a//b', '']) {
      const head = await host.readBranchHead(app, place, branch, null, never)
      assert.ok(
        fake.requests.slice(asked).every(({ path }) => !path.includes('/git/ref')),
        branch,
      )
      assert.deepEqual(head, { kind: 'branch_gone' }, branch)
    }
  })

  it('P-01 tells a branch that is gone from a repository that cannot be seen', async () => {
    await using scene = await startScene()
    const { fake, host, app, place, shop, installation } = scene
    await fake.push(shop, { branch: 'side', files: { a: '1' } })
    await fake.updateRefs(shop, { 'refs/heads/side': null })
    const head = await host.readBranchHead(app, place, 'side', null, never)
    assert.deepEqual(head, { kind: 'branch_gone' })
    const empty = await fake.addRepository({ owner: 'acme', name: 'empty' })
    const there = { installationId: installation.id, repoId: empty.id }
    assert.deepEqual(await host.readBranchHead(app, there, 'main', null, never), {
      kind: 'branch_gone',
    })
    fake.deleteRepository(shop)
    const reading = host.readBranchHead(app, place, 'main', null, never)
    await assert.rejects(reading, isCode('github.not_found'))
  })

  it('P-13 stays with the repository when it is renamed and its name is taken', async () => {
    await using scene = await startScene()
    const { fake, host, app, place, shop } = scene
    const head = await fake.head(shop)
    fake.rename(shop, 'store')
    const taken = await fake.addRepository({ owner: 'acme', name: 'shop', files: { evil: '1' } })
    assert.notEqual(await fake.head(taken), head)
    const found = await host.readBranchHead(app, place, 'main', null, never)
    assert.equal(found.kind === 'found' && found.head, head)
    assert.equal((await host.readRepository(app, place, never)).fullName, 'acme/store')
  })
})

describe('tokens in use', () => {
  it('B-18 waits while GitHub does not know a new token everywhere, for five seconds', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { fake, host, app, place, installation } = scene
    fake.faults.request({ kind: 'fresh-token-lag', uses: 3 })
    assert.equal((await host.readRepository(app, place, never)).id, place.repoId)
    assert.equal(fake.count('access_tokens'), 1)
    // Another order, so another token; it stays unknown.
    fake.faults.request({ kind: 'fresh-token-lag', uses: 1000 }, { times: 2 })
    const started = clock.now()
    const asked = fake.requests.length
    const reading = host.readBranchHead(app, place, 'main', null, never)
    await assert.rejects(reading, isCode('github.refused'))
    assert.ok(clock.now() - started <= 10_000)
    assert.equal(fake.requests.length - asked, 2 * (1 + 6))
    assert.equal(host.remainingBudget(app, installation.id)?.limit, 5000)
  })

  it('gets another one when a token was revoked by somebody', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { fake, host, app, place, installation } = scene
    const permissions = { metadata: 'read' }
    const order = { installationId: installation.id, repositoryIds: [place.repoId], permissions }
    const { token } = await host.mintToken(app, order, never)
    clock.move(60_000)
    await ask(fake, 'DELETE /installation/token', { auth: `Bearer ${token.reveal()}` })
    assert.equal((await host.readRepository(app, place, never)).id, place.repoId)
    assert.equal(fake.count('access_tokens'), 2)
  })

  it('P-16 says that an installation is gone, also with a token in hand', async () => {
    await using scene = await startScene({ clock: createJumpingClock() })
    const { fake, host, app, place, installation } = scene
    await host.readRepository(app, place, never)
    fake.suspend(installation)
    await assert.rejects(host.readRepository(app, place, never), /it is suspended/)
    const asked = fake.requests.length
    await assert.rejects(host.readRepository(app, place, never), isCode('github.gone'))
    assert.equal(fake.requests.length, asked)
  })
})

describe('lists of an installation', () => {
  it('gives every repository and its marks, page by page', async () => {
    await using scene = await startScene()
    const { fake, host, app, installation, shop } = scene
    for (let index = 0; index < 120; index += 1) {
      await fake.addRepository({ owner: 'acme', name: `r${index}`, archived: index === 7 })
    }
    const pages = await Array.fromAsync(host.listRepositories(app, installation.id, never))
    assert.deepEqual(
      pages.map(({ length }) => length),
      [100, 21],
    )
    const all = pages.flat()
    assert.equal(new Set(all.map(({ id }) => id)).size, 121)
    assert.equal(all.find(({ name }) => name === 'r7')?.archived, true)
    const found = all.find(({ id }) => id === shop.id)
    assert.deepEqual(
      [found?.isPrivate, found?.cloneUrl, found?.defaultBranch],
      [true, `${fake.webUrl}/acme/shop.git`, 'main'],
    )
  })

  it('gives branches with their heads, and tells whether there are more', async () => {
    await using scene = await startScene()
    const { fake, host, app, place, shop } = scene
    const head = await fake.head(shop)
    await fake.updateRefs(shop, { 'refs/heads/b': head, 'refs/heads/c': head, 'refs/tags/t': head })
    const first = await host.listBranches(app, place, { number: 1, size: 2 }, never)
    const second = await host.listBranches(app, place, { number: 2, size: 2 }, never)
    assert.deepEqual([first.more, second.more], [true, false])
    const branches = [...first.branches, ...second.branches]
    assert.deepEqual(branches.map(({ name }) => name).toSorted(), ['b', 'c', 'main'])
    assert.ok(branches.every((branch) => branch.head === head))
  })
})

describe('reportStatus()', () => {
  it('says at a commit how it went, in the length that GitHub takes', async () => {
    await using scene = await startScene()
    const { fake, host, app, place, shop } = scene
    const status = {
      sha: await fake.head(shop),
      state: 'success',
      description: 'Live. '.repeat(50),
      targetUrl: 'https://shop.example',
      context: 'nanoscale/shop',
    } as const
    await host.reportStatus(app, place, status, never)
    const [said] = fake.snapshot().state.statuses
    assert.deepEqual(
      [said?.state, said?.context, said?.description?.length],
      ['success', 'nanoscale/shop', 140],
    )
  })
})

describe('limits', () => {
  it('B-18 asks nothing more until Retry-After is over', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { fake, host, app, place, installation } = scene
    await host.readRepository(app, place, never)
    const read = () => host.readRepository(app, place, never)
    for (const status of [403, 429] as const) {
      fake.faults.request({ kind: 'secondary-rate-limit', retryAfterSeconds: 30, status })
      await assert.rejects(read(), { code: 'github.rate_limited', retryAfterSeconds: 30 })
      const asked = fake.requests.length
      clock.move(20_000)
      await assert.rejects(read(), { code: 'github.rate_limited', retryAfterSeconds: 10 })
      assert.equal(fake.requests.length, asked)
      // Others have their own limit.
      await host.readInstallation(app, installation.id, never)
      clock.move(10_001)
      await read()
    }
  })

  it('waits for the reset when the hour is used up, and for a minute when nothing tells', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { fake, host, app, place, installation } = scene
    const read = () => host.readRepository(app, place, never)
    await read()
    fake.faults.request({ kind: 'primary-rate-limit', resetInSeconds: 600 })
    await assert.rejects(read(), (error: { code?: string; retryAfterSeconds?: number }) => {
      assert.ok(Math.abs((error.retryAfterSeconds ?? 0) - 600) <= 2)
      return error.code === 'github.rate_limited'
    })
    assert.equal(host.remainingBudget(app, installation.id)?.remaining, 0)
    clock.move(602_000)
    await read()
    const body = '{"message":"You have exceeded a secondary rate limit."}'
    fake.faults.request({ kind: 'status', status: 403, body })
    await assert.rejects(read(), { code: 'github.rate_limited', retryAfterSeconds: 60 })
  })

  it('takes no 403 about permissions for a limit', async () => {
    await using scene = await startScene()
    const { fake, host, app, place } = scene
    const body = '{"message":"Resource not accessible by integration"}'
    fake.faults.request({ kind: 'status', status: 403, body }, { only: '/repositories/' })
    await assert.rejects(host.readRepository(app, place, never), isCode('github.refused'))
    await host.readRepository(app, place, never)
  })
})
