import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { isOperationError } from '../../lib/errors.ts'
import { createLogger } from '../../lib/logger.ts'
import { Secret } from '../../lib/secret.ts'
import {
  CLIENT_ID,
  CLIENT_SECRET,
  startProvider,
  type Faults,
  type TestProvider,
} from './_provider.ts'
import { createOidc, type Oidc, type OidcConfig, type OidcRedemption } from './create-oidc.ts'

const HOME = 'https://nanoscale.example.com'
const REDIRECT_URI = `${HOME}/api/auth/callback/oidc`

function testOidc(issuer: string, overrides: Partial<OidcConfig> = {}) {
  const lines: string[] = []
  let now = Date.now()
  const oidc = createOidc({
    config: {
      oidcIssuer: issuer,
      oidcClientId: CLIENT_ID,
      oidcClientSecret: new Secret(CLIENT_SECRET),
      oidcName: 'Test',
      publicBaseUrl: HOME,
      ...overrides,
    },
    clock: { now: () => now },
    log: createLogger({ level: 'info', write: (line) => lines.push(line) }),
  })
  assert.ok(oidc !== null)
  const advance = (ms: number) => {
    now += ms
  }
  return { oidc, lines, advance }
}

interface Trip {
  changeAnswer?: (address: URL) => void
  verifier?: string
}

async function signIn(oidc: Oidc, provider: TestProvider, trip: Trip = {}) {
  const { url, verifier, nonce } = await oidc.authorize('the-state')
  const address = await provider.visit(url)
  assert.equal(`${address.origin}${address.pathname}`, REDIRECT_URI)
  trip.changeAnswer?.(address)
  const answer = { state: 'the-state', ...Object.fromEntries(address.searchParams) }
  return await oidc.redeem(answer, { verifier: trip.verifier ?? verifier, nonce })
}

describe('createOidc()', () => {
  it('is null when no provider is configured', () => {
    const config = {
      oidcIssuer: null,
      oidcClientId: null,
      oidcClientSecret: null,
      oidcName: 'Test',
      publicBaseUrl: HOME,
    }
    const log = createLogger({ level: 'silent', write: () => {} })
    assert.equal(createOidc({ config, clock: Date, log }), null)
  })

  it('signs in at a real provider, with the secret in the body, in a header, or without one', async () => {
    for (const authentication of ['client_secret_post', 'client_secret_basic', 'none'] as const) {
      await using provider = await startProvider({ redirectUri: REDIRECT_URI, authentication })
      const { oidc } = testOidc(
        provider.issuer,
        authentication === 'none' ? { oidcClientSecret: null } : {},
      )
      const subject = {
        issuer: provider.issuer,
        subject: 'subject-1',
        name: 'Name of subject-1',
      }
      assert.deepEqual(await signIn(oidc, provider), { kind: 'subject', subject }, authentication)
    }
  })

  it('asks with PKCE, a nonce and no more than it needs', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc } = testOidc(provider.issuer)
    const first = await oidc.authorize('the-state')
    const second = await oidc.authorize('the-state')
    const asked = new URL(first.url).searchParams
    assert.equal(asked.get('code_challenge_method'), 'S256')
    assert.equal(asked.get('scope'), 'openid profile')
    assert.equal(asked.get('response_type'), 'code')
    assert.notEqual(asked.get('code_challenge'), first.verifier)
    assert.notEqual(first.verifier, second.verifier)
    assert.notEqual(first.nonce, second.nonce)
  })

  it('reads the metadata once an hour', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc, advance } = testOidc(provider.issuer)
    await Promise.all([oidc.authorize('a'), oidc.authorize('b')])
    await oidc.authorize('c')
    assert.equal(provider.discoveries, 1)
    advance(60 * 60 * 1000)
    await oidc.authorize('d')
    assert.equal(provider.discoveries, 2)
  })

  it('can be used as soon as a provider that was down is back', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc, lines } = testOidc(provider.issuer)
    provider.faults = { down: true }
    await assert.rejects(oidc.authorize('a'), (error) =>
      isOperationError(error, 'oidc.unavailable'),
    )
    assert.match(lines.join('\n'), /Cannot reach .*127\.0\.0\.1/)
    provider.faults = {}
    assert.equal((await signIn(oidc, provider)).kind, 'subject')
  })

  it('tells from the answer that a provider went down on the way', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc } = testOidc(provider.issuer)
    const changeAnswer = () => {
      provider.faults = { down: true }
    }
    assert.deepEqual(await signIn(oidc, provider, { changeAnswer }), { kind: 'unavailable' })
  })

  const METADATA = '/.well-known/openid-configuration'
  const json = { 'content-type': 'application/json' }
  const strangeMetadata = {
    'is not there': { status: 404, body: 'no' },
    'is no JSON': { status: 200, headers: json, body: '<html>' },
    'is of another issuer': {
      status: 200,
      headers: json,
      body: JSON.stringify({ issuer: 'https://evil.example' }),
    },
    'is elsewhere': { status: 302, headers: { location: 'https://evil.example/' }, body: '' },
    'has no end': { status: 200, headers: json, body: `"${'a'.repeat(2_000_000)}"` },
  }
  for (const [how, answer] of Object.entries(strangeMetadata)) {
    it(`is unavailable while the provider's metadata ${how}`, async () => {
      await using provider = await startProvider({ redirectUri: REDIRECT_URI })
      provider.faults = { answer: { path: METADATA, ...answer } }
      const { oidc, lines } = testOidc(provider.issuer)
      await assert.rejects(oidc.authorize('a'), (error) =>
        isOperationError(error, 'oidc.unavailable'),
      )
      assert.equal(lines.length, 1)
    })
  }

  it('asks nobody without encryption but this machine', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { issuer } = provider
    const { oidc, lines } = testOidc(issuer)
    const real = (await (await fetch(`${issuer}${METADATA}`)).json()) as object
    const body = JSON.stringify({ ...real, token_endpoint: 'http://192.0.2.1/token' })
    provider.faults = { answer: { path: METADATA, status: 200, headers: json, body } }
    assert.deepEqual(await signIn(oidc, provider), { kind: 'invalid' })
    assert.match(lines.join('\n'), /is not https/)
  })

  it('waits no longer than five seconds for an answer', { timeout: 20_000 }, async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    provider.faults = { silent: true }
    const { oidc, lines } = testOidc(provider.issuer)
    await assert.rejects(oidc.authorize('a'), (error) =>
      isOperationError(error, 'oidc.unavailable'),
    )
    assert.match(lines.join('\n'), /timeout/)
  })

  const forged: Record<string, Faults> = {
    'was made for another nonce': { changedRequest: { nonce: 'another' } },
    'has no nonce': { claims: (claims) => without(claims, 'nonce') },
    'is of another issuer with the same subject': {
      claims: (claims) => ({ ...claims, iss: 'https://evil.example' }),
    },
    'is for another client': { claims: (claims) => ({ ...claims, aud: 'another' }) },
    'has expired': { claims: (claims) => ({ ...claims, exp: Math.floor(Date.now() / 1000) - 60 }) },
    'is signed by another key': { foreignKey: true },
    'names nobody': { claims: (claims) => without(claims, 'sub') },
    'has a name of control characters': { claims: (claims) => ({ ...claims, sub: 'a\nb' }) },
    'has a name without end': { claims: (claims) => ({ ...claims, sub: 'a'.repeat(256) }) },
  }
  it('accepts an id token that the test made again without changing it', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc } = testOidc(provider.issuer)
    provider.faults = { claims: (claims) => claims }
    assert.equal((await signIn(oidc, provider)).kind, 'subject')
  })

  it('takes a name without what a database or a terminal would choke on', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc } = testOidc(provider.issuer)
    const name = ` A\u0000d\u001b[2Ja\n${'x'.repeat(200)}`
    provider.faults = { claims: (claims) => ({ ...claims, name }) }
    const outcome = await signIn(oidc, provider)
    assert.ok(outcome.kind === 'subject')
    assert.equal(outcome.subject.name, `Ad[2Ja${'x'.repeat(94)}`)
  })

  for (const [how, faults] of Object.entries(forged)) {
    it(`refuses an id token that ${how}`, async () => {
      await using provider = await startProvider({ redirectUri: REDIRECT_URI })
      const { oidc } = testOidc(provider.issuer)
      provider.faults = faults
      assert.deepEqual(await signIn(oidc, provider), { kind: 'invalid' })
    })
  }

  it('I-04 cannot use a code without the PKCE verifier that it was made for', async () => {
    await using provider = await startProvider({ redirectUri: REDIRECT_URI })
    const { oidc, lines } = testOidc(provider.issuer)
    const other = await oidc.authorize('another-state')
    const outcome = await signIn(oidc, provider, { verifier: other.verifier })
    assert.deepEqual(outcome, { kind: 'invalid' })
    assert.match(lines.join('\n'), /invalid_grant/)
  })

  const answers: Record<string, [(address: URL) => void, OidcRedemption['kind']]> = {
    'access was denied': [(address) => turnIntoError(address, 'access_denied'), 'denied'],
    'the provider failed': [(address) => turnIntoError(address, '<b>server</b>'), 'invalid'],
    'the code is another one': [
      (address) => address.searchParams.set('code', 'no-code'),
      'invalid',
    ],
    'there is no code': [(address) => address.searchParams.delete('code'), 'invalid'],
    'the issuer is missing although the provider always tells it': [
      (address) => address.searchParams.delete('iss'),
      'invalid',
    ],
    'another issuer sent it': [
      (address) => address.searchParams.set('iss', 'https://evil.example'),
      'invalid',
    ],
  }
  for (const [how, [changeAnswer, kind]] of Object.entries(answers)) {
    it(`ends as "${kind}" when ${how}`, async () => {
      await using provider = await startProvider({ redirectUri: REDIRECT_URI })
      const { oidc } = testOidc(provider.issuer)
      assert.deepEqual(await signIn(oidc, provider, { changeAnswer }), { kind })
    })
  }

  const tokenAnswers = {
    'an error': { status: 400, headers: json, body: '{"error":"invalid_client"}' },
    'an error as success': { status: 200, headers: json, body: '{"error":"bad_code"}' },
    garbage: { status: 200, headers: json, body: '<html>' },
    'another address': { status: 307, headers: { location: 'https://evil.example/' }, body: '' },
    'no id token': {
      status: 200,
      headers: json,
      body: '{"access_token":"a","token_type":"bearer"}',
    },
  }
  for (const [how, answer] of Object.entries(tokenAnswers)) {
    it(`ends as "invalid" when the token endpoint answers with ${how}`, async () => {
      await using provider = await startProvider({ redirectUri: REDIRECT_URI })
      const { oidc, lines } = testOidc(provider.issuer)
      provider.faults = { answer: { path: '/token', ...answer } }
      assert.deepEqual(await signIn(oidc, provider), { kind: 'invalid' })
      assert.equal(lines.length, 1)
      assert.ok(!lines.join('').includes(CLIENT_SECRET))
    })
  }
})

function turnIntoError(address: URL, error: string): void {
  address.searchParams.delete('code')
  address.searchParams.set('error', error)
}

function without<Claims extends object>(claims: Claims, name: keyof Claims): Claims {
  const kept = { ...claims }
  delete kept[name]
  return kept
}
