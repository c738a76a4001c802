import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'

import { ask } from '../../../test/fake-github/_client.ts'
import { Secret } from '../../lib/secret.ts'
import { createJumpingClock, never, startScene } from './_scene.ts'

const VERIFIER = 'v'.repeat(43)
const REQUEST = {
  state: 'a&b=c',
  codeChallenge: createHash('sha256').update(VERIFIER).digest('base64url'),
  redirectUri: 'http://127.0.0.1:1/callback',
}
const isCode = (code: string) => (error: { code?: string }) => error.code === code

type Scene = Awaited<ReturnType<typeof startScene>>

/** What the person's browser brings back. */
async function authorize({ fake, host, app }: Scene, login = 'ada'): Promise<string> {
  fake.actAs({ login })
  const url = host.authorizationUrl(app, REQUEST)
  const { headers } = await ask(fake, `GET web:${url.slice(fake.webUrl.length)}`)
  const to = new URL(headers.get('location') ?? '')
  assert.equal(to.searchParams.get('state'), REQUEST.state)
  return to.searchParams.get('code') ?? ''
}

async function connect(scene: Scene, login = 'ada') {
  const exchange = {
    code: await authorize(scene, login),
    codeVerifier: VERIFIER,
    redirectUri: REQUEST.redirectUri,
  }
  return await scene.host.exchangeCode(scene.app, exchange, never)
}

describe('authorization of a person', () => {
  it('trades a code for tokens that the redactor knows, refreshes and revokes them', async () => {
    const clock = createJumpingClock()
    await using scene = await startScene({ clock })
    const { host, app, redactor } = scene
    const tokens = await connect(scene)
    assert.equal(Date.parse(tokens.expiresAt ?? ''), clock.now() + 28_800_000)
    assert.equal(Date.parse(tokens.refreshExpiresAt ?? ''), clock.now() + 15_897_600_000)
    const { login, id } = await host.readUser(app, tokens.accessToken, never)
    assert.equal(login, 'ada')
    assert.ok(tokens.refreshToken !== null)
    for (const token of [tokens.accessToken, tokens.refreshToken]) {
      assert.equal(redactor.redact(token.reveal()), '[secret]')
    }
    const next = await host.refreshTokens(app, tokens.refreshToken, never)
    assert.equal((await host.readUser(app, next.accessToken, never)).id, id)
    await assert.rejects(host.readUser(app, tokens.accessToken, never), isCode('github.refused'))
    await host.revokeGrant(app, next.accessToken, never)
    await assert.rejects(host.readUser(app, next.accessToken, never), isCode('github.refused'))
    await host.revokeGrant(app, next.accessToken, never)
  })

  it('I-05 fails without the right verifier, and I-06 with an error in a 200', async () => {
    await using scene = await startScene()
    const { host, app, fake } = scene
    const { redirectUri } = REQUEST
    const wrong = { code: await authorize(scene), codeVerifier: 'w'.repeat(43), redirectUri }
    await assert.rejects(host.exchangeCode(app, wrong, never), isCode('github.refused'))
    const used = new Secret('ghr_used')
    await assert.rejects(host.refreshTokens(app, used, never), /answered "bad_refresh_token"/)
    // The person cannot help it, and keeps their link.
    const code = { code: await authorize(scene), codeVerifier: VERIFIER, redirectUri }
    const misconfigured = { ...app, clientSecret: new Secret('another-secret') }
    await assert.rejects(
      host.exchangeCode(misconfigured, code, never),
      isCode('github.app_refused'),
    )
    fake.faults.request({ kind: 'status', status: 403, body: '{"message":"no"}' })
    await assert.rejects(host.exchangeCode(app, code, never), isCode('github.app_refused'))
    fake.faults.request({ kind: 'oauth-error', error: 'something<script>' })
    await assert.rejects(host.exchangeCode(app, code, never), isCode('github.invalid_answer'))
  })

  it('says what a person reaches, with their own permissions', async () => {
    await using scene = await startScene()
    const { host, app, fake, installation, shop, created } = scene
    fake.addUser({ login: 'eve' })
    const tokenOf = (login: string) => new Secret(fake.authorize(created, login).token)
    const [ada, bob, eve] = [tokenOf('ada'), tokenOf('bob'), tokenOf('eve')]
    const seen = await Array.fromAsync(host.listUserInstallations(app, ada, never))
    assert.deepEqual(
      seen.map(({ id }) => id),
      [installation.id],
    )
    assert.deepEqual(await Array.fromAsync(host.listUserInstallations(app, eve, never)), [])
    const pages = await Array.fromAsync(host.listUserRepositories(app, bob, installation.id, never))
    const permissions = { admin: false, push: false, pull: true }
    assert.deepEqual(
      pages.flat().map((repository) => [repository.id, repository.permissions]),
      [[shop.id, permissions]],
    )
    assert.deepEqual(
      (await host.readUserRepository(app, bob, shop.id, never)).permissions,
      permissions,
    )
    const hidden = host.readUserRepository(app, eve, shop.id, never)
    await assert.rejects(hidden, isCode('github.not_found'))
  })

  it('reads the role in an organization, where it may', async () => {
    await using scene = await startScene()
    const { host, app, fake, created, installation } = scene
    const tokenOf = (login: string) => new Secret(fake.authorize(created, login).token)
    const roleOf = (login: string) => host.readOrganizationRole(app, tokenOf(login), 'acme', never)
    assert.equal(await roleOf('ada'), null)
    fake.requestPermissions(created, { contents: 'read', members: 'read' })
    fake.acceptPermissions(installation)
    assert.equal(await roleOf('ada'), 'admin')
    assert.equal(await roleOf('bob'), 'member')
    fake.addUser({ login: 'eve' })
    assert.equal(await roleOf('eve'), null)
    fake.faults.request({ kind: 'secondary-rate-limit' })
    await assert.rejects(roleOf('ada'), isCode('github.rate_limited'))
  })
})
