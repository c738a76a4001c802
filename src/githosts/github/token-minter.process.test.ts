import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createJumpingClock, createHost, never, startScene, toGithubApp } from './_scene.ts'

const READ = { contents: 'read' }
const isCode = (code: string) => (error: { code?: string }) => error.code === code

/** What the stand-in gave, by value. */
function tokensOf(fake: { tokens: readonly { token: string }[] }): string[] {
  return fake.tokens.map(({ token }) => token)
}

describe('mintToken()', () => {
  it('B-01 asks for one repository and the permissions named, and nothing else', async () => {
    await using scene = await startScene()
    const { host, app, place, fake, readOrder: order } = scene
    await fake.addRepository({ owner: 'acme', name: 'other' })
    const { token, expiresAt } = await host.mintToken(app, order, never)
    const [given] = fake.tokens
    assert.ok(given?.kind === 'installation')
    assert.equal(given.token, token.reveal())
    assert.deepEqual(given.permissions, { contents: 'read', metadata: 'read' })
    assert.deepEqual(given.repositoryIds, [place.repoId])
    assert.ok(Math.abs(Date.parse(expiresAt) - given.expiresAt) < 1000)
  })

  it('B-03 refuses an order that GitHub would take as everything, without asking', async () => {
    await using scene = await startScene()
    const { host, app, fake, installation } = scene
    const installationId = installation.id
    const orders = [
      { repositoryIds: [], permissions: READ },
      { repositoryIds: [1], permissions: {} },
      { repositoryIds: null, permissions: READ },
      { repositoryIds: null, permissions: { metadata: 'write' } },
      { repositoryIds: [1], permissions: { '*': 'read' } },
      { repositoryIds: [1], permissions: { contents: 'everything' } },
    ]
    for (const order of orders) {
      const minting = host.mintToken(app, { installationId, ...order }, never)
      await assert.rejects(minting, isCode('github.invalid_order'))
    }
    assert.equal(fake.requests.length, 0)
  })

  it('B-05 revokes a token that is wider than asked, also while it is too new, and gives none', async () => {
    await using scene = await startScene({ clock: createJumpingClock() })
    const { host, app, fake, readOrder: order } = scene
    fake.faults.request({ kind: 'wider-token' })
    fake.faults.request({ kind: 'fresh-token-lag', uses: 2 })
    await assert.rejects(host.mintToken(app, order, never), isCode('github.wider_token'))
    assert.deepEqual(fake.tokens, [])
    await host.mintToken(app, order, never)
    assert.equal(fake.tokens.length, 1)
  })

  it('B-06 names what was not granted', async () => {
    await using scene = await startScene()
    const { host, app, place, installation } = scene
    const order = { installationId: installation.id, repositoryIds: [place.repoId] }
    await assert.rejects(
      host.mintToken(app, { ...order, permissions: { contents: 'write' } }, never),
      isCode('github.permission_missing'),
    )
  })

  it('B-07 asks once for a hundred equal orders at a time, and until five minutes before its end', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { host, app, fake, readOrder: order } = scene
    const mint = async () => (await host.mintToken(app, order, never)).token.reveal()
    const first = new Set(await Promise.all(Array.from({ length: 100 }, mint)))
    assert.equal(first.size, 1)
    clock.move(54 * 60_000)
    assert.ok(first.has(await mint()))
    clock.move(60_000)
    assert.ok(!first.has(await mint()))
    assert.equal(fake.count('access_tokens'), 2)
  })

  it('goes on for others when one of those who wait goes away', async () => {
    await using scene = await startScene()
    const { host, app, fake, readOrder: order } = scene
    const impatient = new AbortController()
    const first = host.mintToken(app, order, impatient.signal)
    const second = host.mintToken(app, order, never)
    impatient.abort(new Error('gone home'))
    await assert.rejects(first, /gone home/)
    const { token } = await second
    assert.deepEqual(tokensOf(fake), [token.reveal()])
    assert.equal(fake.count('access_tokens'), 1)
  })

  it('B-19 lets a token end by the clock of GitHub', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { host, app, fake, readOrder } = scene
    fake.faults.setClockSkew(10 * 60_000)
    const old = await host.mintToken(app, readOrder, never)
    clock.move(58 * 60_000)
    const next = await host.mintToken(app, readOrder, never)
    assert.notEqual(old.token.reveal(), next.token.reveal())
  })

  it('B-08 never mixes two Apps or hosts that number their installations alike', async () => {
    await using one = await startScene()
    await using two = await startScene()
    assert.equal(one.installation.id, two.installation.id)
    assert.equal(one.shop.id, two.shop.id)
    const gitHosts = [one.fake.hostEntry, two.fake.hostEntry]
    await using host = createHost({ gitHosts })
    const order = {
      installationId: one.installation.id,
      repositoryIds: [one.shop.id],
      permissions: READ,
    }
    const [first, second] = await Promise.all([
      host.mintToken(one.app, order, never),
      host.mintToken(two.app, order, never),
    ])
    assert.deepEqual(tokensOf(one.fake), [first.token.reveal()])
    assert.deepEqual(tokensOf(two.fake), [second.token.reveal()])
  })

  it('B-09 gives whoever reads no token that writes', async () => {
    await using scene = await startScene()
    const { host, app, place, fake, installation } = scene
    const order = { installationId: installation.id, repositoryIds: [place.repoId] }
    const [reading] = await Promise.all([
      host.mintToken(app, { ...order, permissions: { statuses: 'read' } }, never),
      host.mintToken(app, { ...order, permissions: { statuses: 'write' } }, never),
    ])
    const given = fake.tokens.find(({ token }) => token === reading.token.reveal())
    assert.ok(given?.kind === 'installation')
    assert.equal(given.permissions['statuses'], 'read')
  })

  it('B-17 B-15 keeps a token of 520 characters whole, and the redactor knows it', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { host, app, redactor, readOrder: order } = scene
    const { token } = await host.mintToken(app, order, never)
    const value = token.reveal()
    assert.equal(value.length, 520)
    assert.equal(redactor.redact(`clone with ${value}!`), 'clone with [secret]!')
    // It opens nothing any more, and must not be searched for until the end of time.
    clock.move(3 * 3_600_000)
    await host.mintToken(app, order, never)
    assert.ok(redactor.redact(value).includes(value))
  })

  it('I-12 is refused at once for an installation that is known to be suspended', async () => {
    await using scene = await startScene()
    const { host, app, place, fake, installation, readOrder: order } = scene
    await host.mintToken(app, order, never)
    const asked = fake.requests.length
    host.noteInstallation(app, installation.id, 'suspended')
    await assert.rejects(host.mintToken(app, order, never), isCode('github.gone'))
    await assert.rejects(host.readRepository(app, place, never), isCode('github.gone'))
    assert.equal(fake.requests.length, asked)
    host.noteInstallation(app, installation.id, 'active')
    await host.mintToken(app, order, never)
    // What it had before the suspension is not given out again.
    assert.equal(fake.count('access_tokens'), 2)
  })

  it('I-12 gives no token that was asked for before the suspension', async () => {
    await using scene = await startScene()
    const { host, app, fake, installation, readOrder: order } = scene
    fake.faults.request({ kind: 'delay', ms: 50 })
    const minting = host.mintToken(app, order, never)
    host.noteInstallation(app, installation.id, 'removed')
    await assert.rejects(minting, /it is removed/)
    host.noteInstallation(app, installation.id, 'active')
    await host.mintToken(app, order, never)
    assert.equal(fake.count('access_tokens'), 2)
  })

  it('I-12 I-11 remembers a refusal of GitHub for a minute', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { host, app, fake, installation, readOrder: order } = scene
    const mint = () => host.mintToken(app, order, never)
    fake.suspend(installation)
    await assert.rejects(mint(), /it is suspended/)
    fake.unsuspend(installation)
    await assert.rejects(mint(), isCode('github.gone'))
    assert.equal(fake.count('access_tokens'), 1)
    clock.move(61_000)
    await mint()
    fake.uninstall(installation)
    clock.move(3_600_000)
    await assert.rejects(mint(), /it is removed/)
  })

  it('I-13 says that a repository is not in the installation any more', async () => {
    await using scene = await startScene()
    const { host, app, fake, installation, readOrder: order } = scene
    await fake.addRepository({ owner: 'acme', name: 'other' })
    fake.changeSelection(installation, { repositories: ['other'] })
    await assert.rejects(host.mintToken(app, order, never), isCode('github.not_found'))
  })

  it('I-15 works with the old permissions while new ones wait for acceptance', async () => {
    await using scene = await startScene()
    const { host, app, place, fake, installation, created } = scene
    fake.requestPermissions(created, { contents: 'write' })
    const order = { installationId: installation.id, repositoryIds: [place.repoId] }
    await host.mintToken(app, { ...order, permissions: READ }, never)
    await assert.rejects(
      host.mintToken(app, { ...order, permissions: { contents: 'write' } }, never),
      isCode('github.permission_missing'),
    )
  })

  it('B-24 revokes a token, and takes one that is unknown as revoked', async () => {
    await using scene = await startScene()
    const { host, app, fake, readOrder: order } = scene
    const { token } = await host.mintToken(app, order, never)
    await host.revokeToken(app, token, never)
    assert.deepEqual(fake.tokens, [])
    await host.revokeToken(app, token, never)
    const again = await host.mintToken(app, order, never)
    assert.notEqual(again.token.reveal(), token.reveal())
  })

  it('takes no other 403 for a suspension', async () => {
    await using scene = await startScene()
    const { host, app, fake, readOrder: order } = scene
    const body = '{"message":"Although you appear to have the correct authorization, no"}'
    fake.faults.request({ kind: 'status', status: 403, body })
    await assert.rejects(host.mintToken(app, order, never), isCode('github.refused'))
    await host.mintToken(app, order, never)
  })

  it('asks on for tokens while one that is revoked meets a limit', async () => {
    await using scene = await startScene()
    const { host, app, fake, readOrder: order } = scene
    const { token } = await host.mintToken(app, order, never)
    fake.faults.request({ kind: 'secondary-rate-limit' }, { only: 'DELETE' })
    await assert.rejects(host.revokeToken(app, token, never), isCode('github.rate_limited'))
    await host.mintToken(app, order, never)
  })

  it('says when the App is unknown, which is nothing about the installation', async () => {
    await using scene = await startScene()
    const { host, fake, created, readOrder: order } = scene
    const stranger = { ...toGithubApp(fake, created), clientId: 'Iv23nobody' }
    await assert.rejects(host.mintToken(stranger, order, never), isCode('github.refused'))
    const reading = host.readInstallation(stranger, order.installationId, never)
    await assert.rejects(reading, isCode('github.refused'))
    await host.mintToken(toGithubApp(fake, created), order, never)
  })
})
