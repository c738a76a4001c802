import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { startProvider, CLIENT_ID, CLIENT_SECRET } from '../identity/oidc/_provider.ts'
import { createOidc } from '../identity/oidc/create-oidc.ts'
import { OIDC_ERRORS } from '../identity/oidc/oidc-errors.ts'
import { systemClock } from '../lib/clock.ts'
import { createLogger } from '../lib/logger.ts'
import { Secret } from '../lib/secret.ts'
import { PUBLIC_URL, testApp } from './_test-app.ts'

const START = '/api/auth/sign-in/oidc'
const LINK = '/api/auth/oidc/link'
const CALLBACK = '/api/auth/callback/oidc'

async function scene(db: Database) {
  const provider = await startProvider({ redirectUri: `${PUBLIC_URL}${CALLBACK}` })
  const lines: string[] = []
  const log = createLogger({ level: 'info', write: (line) => lines.push(line) })
  const config = {
    oidcIssuer: provider.issuer,
    oidcClientId: CLIENT_ID,
    oidcClientSecret: new Secret(CLIENT_SECRET),
    oidcName: 'Keycloak',
    publicBaseUrl: PUBLIC_URL,
  }
  const test = testApp(db, { oidc: createOidc({ config, clock: systemClock, log }) })
  const visitor = (cookie: string) => ({
    token: null,
    headers: { origin: PUBLIC_URL, ...(cookie === '' ? {} : { cookie }) },
  })
  /** A browser that has `cookie` begins, signs in at the provider and comes back. */
  const travel = async (start: string, body: object, cookie = '') => {
    const begun = await test.request('POST', start, { ...visitor(cookie), body })
    assert.equal(begun.status, 200)
    const binding = begun.headers.getSetCookie()[0] ?? ''
    const { url } = (await begun.json()) as { url: string }
    const back = await provider.visit(url)
    return { path: `${back.pathname}${back.search}`, binding }
  }
  const arrive = (path: string, cookie: string) =>
    // The browser comes from another site: it sends no origin of ours.
    test.request('GET', path, { token: null, headers: cookie === '' ? {} : { cookie } })
  return {
    provider,
    test,
    visitor,
    travel,
    arrive,
    [Symbol.asyncDispose]: async () => {
      test[Symbol.dispose]()
      await provider[Symbol.asyncDispose]()
    },
  }
}

const pairOf = (setCookie: string) => setCookie.split(';')[0] ?? ''

describeOnBothEngines('single sign-on', (open) => {
  it('links an identity, signs in with it, and keeps it while it is the only way in', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    const { test } = sso
    const ada = await test.as('member')
    const linking = await sso.travel(LINK, {}, ada.cookie)
    const linked = await sso.arrive(linking.path, `${ada.cookie}; ${pairOf(linking.binding)}`)
    assert.equal(linked.status, 303)
    assert.equal(linked.headers.get('location'), '/account')
    const trip = await sso.travel(START, { return_to: '/projects' })
    assert.match(
      trip.binding,
      /^__Host-nanoscale\.oidc=[^;]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
    const arrived = await sso.arrive(trip.path, pairOf(trip.binding))
    assert.equal(arrived.status, 303)
    assert.equal(arrived.headers.get('location'), '/projects')
    assert.equal(arrived.headers.get('cache-control'), 'no-store')
    assert.equal(arrived.headers.get('referrer-policy'), 'no-referrer')
    const session = sso.visitor(pairOf(arrived.headers.getSetCookie()[0] ?? ''))
    const list = await test.request('GET', '/api/me/identities', session)
    const { items } = (await list.json()) as { items: Record<string, unknown>[] }
    assert.equal(items.length, 1)
    const { id, linked_at: _at, ...facts } = items[0] ?? {}
    const { issuer } = sso.provider
    assert.deepEqual(facts, { issuer, subject: 'subject-1', name: 'Keycloak', usable: true })
    // Without a password it is the only way in.
    const refused = await test.request('DELETE', `/api/me/identities/${String(id)}`, session)
    assert.equal(refused.status, 409)
    assert.equal(((await refused.json()) as { code: string }).code, 'identity.last_way_in')
    const foreign = (await test.as('member'))('DELETE', `/api/me/identities/${String(id)}`)
    assert.equal((await foreign).status, 404)
  })

  it('I-04 sends a browser away that did not begin', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    const trip = await sso.travel(START, {})
    const cookies = [
      '',
      '__Host-nanoscale.oidc=forged',
      pairOf((await sso.travel(START, {})).binding),
    ]
    for (const cookie of cookies) {
      const refused = await sso.arrive(trip.path, cookie)
      assert.equal(refused.status, 303)
      assert.equal(refused.headers.get('location'), '/sign-in?error=oidc_expired')
      assert.deepEqual(refused.headers.getSetCookie(), [])
    }
  })

  it('answers whatever comes with a redirection that repeats nothing of it', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    const { path, binding } = await sso.travel(START, {})
    const state = new URL(path, PUBLIC_URL).searchParams.get('state') ?? ''
    const strange = [
      '',
      '?code=a&code=b&state=c',
      `?state=${'a'.repeat(5000)}`,
      `?error=%3Cscript%3E%0d%0aset-cookie:x&error_description=%3Cb%3E&state=${state}`,
      `?error=access_denied&state=${state}`,
    ]
    for (const query of strange) {
      const response = await sso.arrive(`${CALLBACK}${query}`, pairOf(binding))
      assert.equal(response.status, 303, query)
      const location = response.headers.get('location') ?? ''
      const error = new URL(location, PUBLIC_URL).searchParams.get('error') ?? ''
      assert.ok(error in OIDC_ERRORS, location)
      assert.equal(await response.text(), '')
    }
  })

  it('begins for pages of this site alone, and links for people alone', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    const { test } = sso
    const evil = { token: null, headers: { origin: 'https://evil.example' }, body: {} }
    assert.equal((await test.request('POST', START, evil)).status, 403)
    assert.equal((await test.request('POST', LINK, { ...sso.visitor(''), body: {} })).status, 401)
    assert.equal((await test.request('POST', LINK, { body: {} })).status, 403)
    const token = await test.tokenOf('org-default')
    assert.equal((await test.request('GET', '/api/me/identities', { token })).status, 403)
    const unknown = { ...sso.visitor(''), body: { return_to: '/', user_id: 'u', state: 's' } }
    const refused = await test.request('POST', START, unknown)
    assert.equal(refused.status, 422)
    const { details } = (await refused.json()) as { details: object }
    assert.deepEqual(Object.keys(details), ['user_id', 'state'])
  })

  it('links for whoever signed in a moment ago alone: a browser left open is no lasting way in', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    const { test } = sso
    const ada = await test.as('member')
    const link = async () =>
      await test.request('POST', LINK, { ...sso.visitor(ada.cookie), body: {} })
    assert.equal((await link()).status, 200)
    await database.db
      .updateTable('sessions')
      .set({ created_at: new Date(Date.now() - 16 * 60_000).toISOString() })
      .execute()
    const refused = await link()
    assert.equal(refused.status, 403)
    assert.equal(((await refused.json()) as { code: string }).code, 'auth.sign_in_too_old')
  })

  it('lets nobody in by an invitation while apps are not isolated', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    sso.test.app.instance.isolation = () => Promise.resolve('none')
    const body = { invitation_token: 'any' }
    const refused = await sso.test.request('POST', START, { ...sso.visitor(''), body })
    assert.equal(refused.status, 409)
  })

  it('is unavailable while the provider is, and says so', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    sso.provider.faults = { down: true }
    const refused = await sso.test.request('POST', START, { ...sso.visitor(''), body: {} })
    assert.equal(refused.status, 503)
    assert.equal(((await refused.json()) as { code: string }).code, 'oidc.unavailable')
  })
})

describeOnBothEngines('the ways to sign in', (open) => {
  it('are told to everybody', async () => {
    await using database = await open()
    await using sso = await scene(database.db)
    const told = await sso.test.request('GET', '/api/auth/providers', { token: null })
    assert.deepEqual(await told.json(), { password: true, oidc: { name: 'Keycloak' } })
  })

  it('are the password alone when no provider is configured', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const told = await test.request('GET', '/api/auth/providers', { token: null })
    assert.deepEqual(await told.json(), { password: true, oidc: null })
    const headers = { origin: PUBLIC_URL }
    const begun = await test.request('POST', START, { token: null, headers, body: {} })
    assert.equal(begun.status, 404)
    assert.equal((await test.request('GET', CALLBACK, { token: null })).status, 404)
  })
})
