import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'

import { ask, seedApp, seedWorld, startReceiver } from './_client.ts'
import type { Json, Receiver } from './_client.ts'
import type { CreatedApp } from './controls/app-controls.ts'
import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'

const CALLBACK = 'http://127.0.0.1:1/callback'
const VERIFIER = 'v'.repeat(43)
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')

describe('authorization of people', () => {
  let fake: FakeGithub
  let app: CreatedApp
  let hook: Receiver
  let later = 0

  before(async () => {
    fake = await startFakeGithub({ clock: { now: () => Date.now() + later } })
    hook = await startReceiver()
    await seedWorld(fake)
    app = await seedApp(fake, { hook: { url: hook.url, secret: 's' } })
  })
  beforeEach(() => {
    later = 0
    fake.actAs({ login: 'ada' })
  })
  after(async () => {
    await fake[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
  })

  const authorize = async (parameters: Record<string, string> = {}) => {
    const query = new URLSearchParams({
      client_id: app.clientId,
      redirect_uri: CALLBACK,
      state: 'xyz',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      ...parameters,
    })
    const { status, headers, text } = await ask(
      fake,
      `GET web:/login/oauth/authorize?${query.toString()}`,
    )
    const location = headers.get('location')
    return { status, text, to: location === null ? null : new URL(location).searchParams, location }
  }
  const exchange = async (fields: Record<string, string>): Promise<Json> => {
    const body = { client_id: app.clientId, client_secret: app.clientSecret, ...fields }
    const headers = { accept: 'application/json' }
    const reply = await ask(fake, 'POST web:/login/oauth/access_token', { body, headers })
    assert.equal(reply.status, 200)
    return reply.body
  }
  const newCode = async () => (await authorize()).to?.get('code') ?? ''
  const newPair = async (): Promise<Json> =>
    exchange({ code: await newCode(), code_verifier: VERIFIER })

  it('leads back with a code and the state, and gives a token for eight hours', async () => {
    const { to, location } = await authorize()
    assert.ok(location?.startsWith(CALLBACK))
    assert.equal(to?.get('state'), 'xyz')
    const pair = await exchange({ code: to?.get('code') ?? '', code_verifier: VERIFIER })
    assert.match(pair.access_token, /^ghu_\w{36}$/)
    assert.match(pair.refresh_token, /^ghr_\w{76}$/)
    assert.deepEqual([pair.expires_in, pair.refresh_token_expires_in], [28_800, 15_897_600])
    const auth = `Bearer ${pair.access_token}`
    assert.equal((await ask(fake, 'GET /user', { auth })).body.login, 'ada')
    later = 28_801_000
    assert.equal((await ask(fake, 'GET /user', { auth })).status, 401)
  })

  it('asks on a page when nobody clicks for the tests', async () => {
    fake.actAs(null)
    const shown = await authorize()
    assert.equal(shown.status, 200)
    assert.match(shown.text, /Authorize Deployer/)
    const fields = { client_id: app.clientId, redirect_uri: CALLBACK, state: 'q', login: 'bob' }
    const body = new URLSearchParams({ ...fields, decision: 'authorize' })
    const { headers } = await ask(fake, 'POST web:/login/oauth/authorize', { body })
    const code = new URL(headers.get('location') ?? '').searchParams.get('code') ?? ''
    const { access_token } = await exchange({ code })
    const { body: user } = await ask(fake, 'GET /user', { auth: `token ${access_token}` })
    assert.equal(user.login, 'bob')
  })

  it('I-06 leads back with an error when somebody denies', async () => {
    fake.actAs({ login: 'ada', decision: 'deny' })
    const { to } = await authorize()
    assert.equal(to?.get('error'), 'access_denied')
    assert.equal(to?.get('state'), 'xyz')
    assert.equal(to?.get('code'), null)
  })

  it('I-17 never leads to an address that is not registered', async () => {
    const { to, location } = await authorize({ redirect_uri: 'https://evil.example/' })
    assert.ok(location?.startsWith(CALLBACK))
    assert.equal(to?.get('error'), 'redirect_uri_mismatch')
    assert.equal((await authorize({ client_id: 'nobody' })).status, 404)
  })

  it('I-05 wants the verifier of a challenge, and no other method than S256', async () => {
    for (const fields of [{}, { code_verifier: 'w'.repeat(43) }]) {
      const { error } = await exchange({ code: await newCode(), ...fields })
      assert.equal(error, 'bad_verification_code')
    }
    const { to } = await authorize({ code_challenge_method: 'plain' })
    assert.equal(to?.get('error'), 'invalid_request')
  })

  it('takes a code once, within ten minutes, from its client', async () => {
    const code = await newCode()
    const fields = { code, code_verifier: VERIFIER }
    assert.equal((await exchange(fields)).error, undefined)
    assert.equal((await exchange(fields)).error, 'bad_verification_code')
    const late = await newCode()
    later = 601_000
    const { error } = await exchange({ code: late, code_verifier: VERIFIER })
    assert.equal(error, 'bad_verification_code')
    const wrong = await exchange({ code: await newCode(), client_secret: 'no' })
    assert.equal(wrong.error, 'incorrect_client_credentials')
  })

  it('answers as a form unless JSON is asked for', async () => {
    const body = new URLSearchParams({
      client_id: app.clientId,
      client_secret: app.clientSecret,
      code: 'no',
    })
    const { text, status } = await ask(fake, 'POST web:/login/oauth/access_token', { body })
    assert.equal(status, 200)
    assert.equal(new URLSearchParams(text).get('error'), 'bad_verification_code')
  })

  it('ends the old pair with the first refresh', async () => {
    const first = await newPair()
    const fields = { grant_type: 'refresh_token', refresh_token: first.refresh_token }
    const second = await exchange(fields)
    assert.match(second.access_token, /^ghu_/)
    assert.equal((await exchange(fields)).error, 'bad_refresh_token')
    const old = await ask(fake, 'GET /user', { auth: `Bearer ${first.access_token}` })
    const fresh = await ask(fake, 'GET /user', { auth: `Bearer ${second.access_token}` })
    assert.deepEqual([old.status, fresh.status], [401, 200])
  })

  it('answers 200 with the error of a fault', async () => {
    fake.faults.request({ kind: 'oauth-error', error: 'bad_refresh_token' })
    assert.equal((await exchange({ code: 'any' })).error, 'bad_refresh_token')
  })

  it('lets an App check and delete tokens, and the whole grant', async () => {
    const basic = Buffer.from(`${app.clientId}:${app.clientSecret}`).toString('base64')
    const by = (method: string, what: string, token: string) => {
      const line = `${method} /applications/${app.clientId}/${what}`
      return ask(fake, line, { auth: `Basic ${basic}`, body: { access_token: token } })
    }
    const { access_token: one } = await newPair()
    const { access_token: two } = await newPair()
    assert.equal((await by('POST', 'token', one)).body.user.login, 'ada')
    assert.equal((await by('DELETE', 'token', one)).status, 204)
    assert.equal((await by('POST', 'token', one)).status, 404)
    assert.equal((await by('POST', 'token', two)).status, 200)
    assert.equal((await by('DELETE', 'grant', two)).status, 204)
    assert.equal((await ask(fake, 'GET /user', { auth: `Bearer ${two}` })).status, 401)
    const anonymous = await ask(fake, `POST /applications/${app.clientId}/token`, { body: {} })
    assert.equal(anonymous.status, 404)
  })

  it('I-19 tells the App when somebody takes the authorization back', async () => {
    const { token, refreshToken } = fake.authorize(app, 'bob')
    fake.revokeAuthorization(app, 'bob')
    await fake.settled()
    const last = hook.received.at(-1)
    assert.equal(last?.headers['x-github-event'], 'github_app_authorization')
    assert.equal(last?.payload.action, 'revoked')
    assert.equal(last?.payload.sender.login, 'bob')
    assert.equal((await ask(fake, 'GET /user', { auth: `Bearer ${token}` })).status, 401)
    const fields = { grant_type: 'refresh_token', refresh_token: refreshToken ?? '' }
    assert.equal((await exchange(fields)).error, 'bad_refresh_token')
  })

  it('shows e-mail addresses only to Apps that may read them', async () => {
    const { token } = fake.authorize(app, 'ada')
    assert.equal((await ask(fake, 'GET /user/emails', { auth: `Bearer ${token}` })).status, 403)
    fake.requestPermissions(app, { contents: 'read', email_addresses: 'read' })
    const { body } = await ask(fake, 'GET /user/emails', { auth: `Bearer ${token}` })
    assert.deepEqual(body, [
      { email: 'ada@example.com', primary: true, verified: true, visibility: 'private' },
    ])
  })
})
