import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { systemClock } from '../../lib/clock.ts'
import { isOperationError } from '../../lib/errors.ts'
import { silentLogger } from '../../lib/logger.ts'
import { acme, ada, iso, tell, userOf } from './_clerk-state.ts'
import { createTestKey, signSession, startKeyServer, type TokenChanges } from './_session-tokens.ts'
import { createClerkSessions, type ClerkSessionsDeps } from './verify-clerk-session.ts'

const NOW = Date.UTC(2026, 5, 1)
const ISSUER = 'https://clerk.example.com'
const KEY = createTestKey('ins_1')
const OTHER_KEY = createTestKey('ins_2')
const PEM = KEY.publicKey.export({ format: 'pem', type: 'spki' })

function sessionsOf(db: Database, config: Partial<ClerkSessionsDeps['config']> = {}) {
  let now = NOW
  const sessions = createClerkSessions({
    db,
    clock: { ...systemClock, now: () => now },
    log: silentLogger,
    config: {
      clerkIssuer: ISSUER,
      clerkJwksUrl: null,
      clerkJwtKey: PEM,
      clerkAuthorizedParties: [],
      ...config,
    },
  })
  return {
    ...sessions,
    wait: (ms: number) => {
      now += ms
    },
  }
}

const sign = (changes: TokenChanges = {}, key = KEY) =>
  signSession(key, { issuer: ISSUER, now: NOW }, changes)

const isUnavailable = (error: unknown) => isOperationError(error, 'clerk.keys_unavailable')

describeOnBothEngines('createClerkSessions()', (open) => {
  it('knows whose session a token stands for, by either version of its claims', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'user.created', 1, ada('Ada'))
    await tell(db, 'organization.created', 1, acme())
    const user = await userOf(db, 'user_Ada')
    const person = { userId: user.id, name: 'Ada', email: user.email }
    const { id } = await db
      .selectFrom('organizations')
      .select('id')
      .where('clerk_org_id', '=', 'org_Acme')
      .executeTakeFirstOrThrow()
    const { authenticate } = sessionsOf(db)
    assert.deepEqual(await authenticate(await sign()), { ...person, organization: null })
    for (const claims of [{ org_id: 'org_Acme' }, { o: { id: 'org_Acme', rol: 'admin' } }]) {
      const found = await authenticate(await sign({ claims }))
      assert.deepEqual(found, { ...person, organization: { id } })
    }
    // Unknown to us: never quietly another one.
    const unknown = await authenticate(await sign({ claims: { org_id: 'org_Other' } }))
    assert.deepEqual(unknown?.organization, { id: 'org_Other' })
  })

  it('knows nobody whom Clerk did not tell of, deleted or banned', async () => {
    await using database = await open()
    const { authenticate } = sessionsOf(database.db)
    assert.equal(await authenticate(await sign()), null)
    await tell(database.db, 'user.created', 1, { ...ada('Ada'), banned: true })
    assert.equal(await authenticate(await sign()), null)
    await tell(database.db, 'user.updated', 2, ada('Ada'))
    assert.equal((await authenticate(await sign()))?.name, 'Ada')
    assert.equal(await authenticate(await sign({ claims: { sub: 'user_ada' } })), null)
    await tell(database.db, 'user.deleted', 3, { id: 'user_Ada', deleted: true })
    assert.equal(await authenticate(await sign()), null)
    assert.equal((await userOf(database.db, 'user_Ada')).deleted_at, iso(3))
  })

  it('refuses every other token', async () => {
    await using database = await open()
    await tell(database.db, 'user.created', 1, ada('Ada'))
    const { authenticate } = sessionsOf(database.db)
    const seconds = NOW / 1000
    const right = await sign()
    const [header = '', payload = '', signature = ''] = right.split('.')
    const unsigned = Buffer.from('{"alg":"none"}').toString('base64url')
    const symmetric = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')
    const mac = createHmac('sha256', PEM).update(`${symmetric}.${payload}`).digest('base64url')
    const hostile: [string, string][] = [
      ['another key', await sign({}, { ...OTHER_KEY, id: KEY.id })],
      ['expired', await sign({ claims: { exp: seconds - 6 } })],
      ['not valid yet', await sign({ claims: { nbf: seconds + 6 } })],
      ['without an end', await sign({ claims: { exp: undefined } })],
      ['of another issuer', await sign({ claims: { iss: 'https://clerk.example.org' } })],
      ['of nearly the issuer', await sign({ claims: { iss: `${ISSUER}/` } })],
      ['without an issuer', await sign({ claims: { iss: undefined } })],
      ['without a person', await sign({ claims: { sub: undefined } })],
      ['no session', await sign({ claims: { sid: undefined } })],
      ['another session', await sign({ claims: { sid: 7 } })],
      ['an identity token', await sign({ claims: { aud: 'client_1' } })],
      ['half a session', await sign({ claims: { sts: 'pending' } })],
      ['another algorithm', await sign({ header: { alg: 'RS512' } })],
      ['no algorithm', `${unsigned}.${payload}.`],
      ['the public key as a secret', `${symmetric}.${payload}.${mac}`],
      ['another payload', `${header}.${payload.slice(0, -2)}AA.${signature}`],
      ['no signature', `${header}.${payload}.`],
      ['three dots', `${right}.x`],
      ['too long', `${right}${'A'.repeat(10_000)}`],
      ['nothing', ''],
      ['not a token', 'eyJ.eyJ.x'],
    ]
    for (const [name, token] of hostile) assert.equal(await authenticate(token), null, name)
    for (const claims of [{ exp: seconds - 4 }, { nbf: seconds + 5 }]) {
      assert.notEqual(await authenticate(await sign({ claims })), null)
    }
  })

  it('accepts tokens of the named origins alone, when any is named', async () => {
    await using database = await open()
    await tell(database.db, 'user.created', 1, ada('Ada'))
    const { authenticate } = sessionsOf(database.db, {
      clerkAuthorizedParties: ['https://app.example.com', 'https://two.example.com'],
    })
    assert.notEqual(await authenticate(await sign()), null)
    const parties = [
      'https://evil.example.com',
      'https://app.example.com.evil.com',
      '',
      undefined,
      7,
    ]
    for (const azp of parties) {
      assert.equal(await authenticate(await sign({ claims: { azp } })), null, String(azp))
    }
  })

  it('fetches keys once, and not again for every key id that somebody makes up', async () => {
    await using database = await open()
    await using server = await startKeyServer(KEY)
    await tell(database.db, 'user.created', 1, ada('Ada'))
    const { authenticate } = sessionsOf(database.db, {
      clerkJwtKey: null,
      clerkJwksUrl: server.url,
    })
    const results = await Promise.all([authenticate(await sign()), authenticate(await sign())])
    assert.ok(results.every((person) => person?.name === 'Ada'))
    assert.equal(server.requests(), 1)
    for (let attempt = 0; attempt < 5; attempt += 1) {
      assert.equal(await authenticate(await sign({ header: { kid: `made-up-${attempt}` } })), null)
    }
    assert.equal(server.requests(), 1)
  })

  it('finds the keys where the issuer has them when nothing else is said', async () => {
    await using database = await open()
    await using server = await startKeyServer(KEY)
    await tell(database.db, 'user.created', 1, ada('Ada'))
    const paths: (string | undefined)[] = []
    server.answer((response) => {
      paths.push(response.req.url)
      response.statusCode = 404
      response.end()
    })
    const { authenticate } = sessionsOf(database.db, { clerkIssuer: server.url, clerkJwtKey: null })
    const token = await signSession(KEY, { issuer: server.url, now: NOW })
    await assert.rejects(authenticate(token), isUnavailable)
    assert.deepEqual(paths, ['/.well-known/jwks.json'])
  })

  it('says that the keys are unavailable, asks again soon, and not for everybody', async () => {
    await using database = await open()
    await using server = await startKeyServer(KEY)
    await using elsewhere = await startKeyServer(KEY)
    await tell(database.db, 'user.created', 1, ada('Ada'))
    const failures: [string, Parameters<typeof server.answer>[0]][] = [
      ['an error', (response) => response.writeHead(500).end()],
      ['a redirect', (response) => response.writeHead(302, { location: elsewhere.url }).end()],
      ['a page', (response) => response.end('<html>')],
      ['no keys', (response) => response.end('{"keys":7}')],
      ['too much', (response) => response.end(`{"keys":[],"x":"${'x'.repeat(70_000)}"}`)],
      ['the end of the connection', (response) => response.destroy()],
    ]
    for (const [name, respond] of failures) {
      const sessions = sessionsOf(database.db, { clerkJwtKey: null, clerkJwksUrl: server.url })
      server.answer(respond)
      const before = server.requests()
      await assert.rejects(sessions.authenticate(await sign()), isUnavailable, name)
      assert.equal(server.requests(), before + 1, name)
      server.publish(KEY)
      await assert.rejects(sessions.authenticate(await sign()), isUnavailable, name)
      assert.equal(server.requests(), before + 1, name)
      sessions.wait(10_000)
      assert.notEqual(await sessions.authenticate(await sign()), null, name)
    }
    assert.equal(elsewhere.requests(), 0)
  })
})
