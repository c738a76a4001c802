import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { PASSWORD, signInTest, type Browser } from './_test-sign-in.ts'

const SESSION = '__Host-nanoscale.session'
const DAY_MS = 24 * 60 * 60 * 1000

async function codeIn(response: Response): Promise<unknown> {
  return ((await response.json()) as { code?: unknown }).code
}

async function whoIs(browser: Browser): Promise<unknown> {
  const body: unknown = await (await browser.send('GET', '/api/auth/get-session')).json()
  return body === null ? null : (body as { user: { email: string } }).user.email
}

/** Everything that the tables of signing in hold, as text. */
async function contentOf(db: Database): Promise<string> {
  const tables = [
    'users',
    'sessions',
    'accounts',
    'verifications',
    'two_factors',
    'used_totp_codes',
    'sign_in_throttles',
    'audit_events',
  ] as const
  const rows = await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()))
  return JSON.stringify(rows)
}

describeOnBothEngines('signing in with a password', (open) => {
  it('gives a cookie that scripts cannot read, and no token in the body', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const browser = on.browser()
    const response = await browser.signIn('Ada@Example.com')
    assert.equal(response.status, 200)
    const body = await response.text()
    const cookie = browser.lastSetCookies.find((line) => line.startsWith(`${SESSION}=`)) ?? ''
    assert.match(cookie, /; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
    const [token = ''] = decodeURIComponent(browser.cookies.get(SESSION) ?? '').split('.')
    assert.ok(token.length >= 32)
    assert.ok(!body.includes(token))
    assert.deepEqual(Object.keys(JSON.parse(body) as object), ['user'])
    assert.equal(await whoIs(browser), 'ada@example.com')
    assert.ok(!(await contentOf(database.db)).includes(token))
    const signOut = await browser.send('POST', '/api/auth/sign-out', {})
    assert.equal(signOut.status, 200)
    assert.equal(browser.cookies.has(SESSION), false)
    assert.deepEqual(await database.db.selectFrom('sessions').selectAll().execute(), [])
  })

  it('A-05 begins a new session, whatever cookie the browser had', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('eve@example.com')
    await on.addPerson('ada@example.com')
    const attacker = on.browser()
    await attacker.signIn('eve@example.com')
    const planted = attacker.cookies.get(SESSION) ?? ''
    const victim = on.browser()
    victim.cookies.set(SESSION, planted)
    await victim.signIn('ada@example.com')
    assert.notEqual(victim.cookies.get(SESSION), planted)
    assert.equal(await whoIs(victim), 'ada@example.com')
    assert.equal(await whoIs(attacker), null)
  })

  it('answers a wrong password and an unknown address alike', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const wrong = await on.browser().signIn('ada@example.com', 'wrong horse battery')
    const unknown = await on.browser().signIn('bob@example.com')
    assert.deepEqual([wrong.status, unknown.status], [401, 401])
    assert.equal(await wrong.text(), await unknown.text())
    const events = await database.db.selectFrom('audit_events').selectAll().execute()
    assert.deepEqual(
      events.map((event) => [event.action, event.target_name, event.organization_id]),
      [['sign_in.failed', 'ada@example.com', 'org-default']],
    )
  })

  it('refuses what no address can hold before it is looked up', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    for (const email of ['ada\u0000@example.com', 'a', `${'a'.repeat(255)}@example.com`, 7, null]) {
      const credentials = { email, password: PASSWORD }
      const browser = on.browser()
      assert.equal((await browser.send('POST', '/api/auth/sign-in/email', credentials)).status, 422)
    }
    assert.equal((await on.browser().signIn('no address', 'wrong')).status, 401)
  })

  it('refuses people who were deleted, and ends their sessions', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { id } = await on.addPerson('ada@example.com')
    const browser = on.browser()
    await browser.signIn('ada@example.com')
    const deleted = { deleted_at: '2026-01-01T00:00:00.000Z' }
    await database.db.updateTable('users').set(deleted).where('id', '=', id).execute()
    assert.equal(await whoIs(browser), null)
    assert.equal((await on.browser().signIn('ada@example.com')).status, 401)
  })

  it('ends sessions after seven days, and renews those that are used', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const [used, idle] = [on.browser(), on.browser()]
    await used.signIn('ada@example.com')
    await idle.signIn('ada@example.com')
    on.clock.forward(3 * DAY_MS)
    assert.equal(await whoIs(used), 'ada@example.com')
    assert.deepEqual(used.lastSetCookies, [])
    on.clock.forward(DAY_MS)
    assert.equal(await whoIs(used), 'ada@example.com')
    assert.match(used.lastSetCookies.join(), /Max-Age=604800/)
    on.clock.forward(3.5 * DAY_MS)
    assert.equal(await whoIs(idle), null)
    assert.equal(await whoIs(used), 'ada@example.com')
  })

  it('refuses a cookie that was changed', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const browser = on.browser()
    await browser.signIn('ada@example.com')
    const [token = '', signature = ''] = decodeURIComponent(
      browser.cookies.get(SESSION) ?? '',
    ).split('.')
    const last = signature.at(-2) === 'A' ? 'E' : 'A'
    for (const forged of [
      token,
      `${token}.`,
      `${token}.${signature.slice(0, -2)}${last}=`,
      `.${signature}`,
    ]) {
      browser.cookies.set(SESSION, encodeURIComponent(forged))
      assert.equal(await whoIs(browser), null)
    }
  })

  it('has no other endpoint of the sign-in library, and takes no address to go to', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const browser = on.browser()
    const others = [
      'sign-up/email',
      'update-user',
      'delete-user',
      'change-email',
      'list-accounts',
      'unlink-account',
      'link-social',
      'sign-in/social',
      'callback/google',
      'list-sessions',
      'revoke-session',
      'send-verification-email',
      'verify-email',
      'reset-password/abc',
      'set-password',
      'verify-password',
      'refresh-token',
      'two-factor/send-otp',
      'two-factor/verify-otp',
      'two-factor/get-totp-uri',
      'two-factor/view-backup-codes',
      'ok',
      'error',
    ]
    for (const path of others) {
      for (const method of ['GET', 'POST']) {
        assert.equal((await browser.send(method, `/api/auth/${path}`)).status, 404, path)
      }
    }
    const foreign = [
      '//evil',
      'https:evil',
      '/\\evil',
      'javascript:alert(1)',
      'https://evil.example',
    ]
    for (const url of foreign) {
      const credentials = { email: 'ada@example.com', password: PASSWORD, callbackURL: url }
      const signIn = await browser.send('POST', '/api/auth/sign-in/email', credentials)
      assert.equal(signIn.status, 422)
      const reset = { email: 'ada@example.com', redirectTo: url }
      assert.equal(
        (await browser.send('POST', '/api/auth/request-password-reset', reset)).status,
        422,
      )
    }
  })
})

describeOnBothEngines('failed attempts to sign in', (open) => {
  it('wait after the fifth, and tell how long', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const browser = on.browser()
    for (let n = 0; n < 5; n += 1) {
      assert.equal((await browser.signIn('ada@example.com', 'wrong')).status, 401)
    }
    const refused = await browser.signIn('ada@example.com')
    assert.equal(refused.status, 429)
    assert.equal(refused.headers.get('retry-after'), '1')
    assert.equal(await codeIn(refused), 'auth.throttled')
    // From elsewhere it is another count.
    assert.equal((await on.browser('198.51.100.7').signIn('ada@example.com')).status, 200)
    on.clock.forward(1001)
    assert.equal((await browser.signIn('ada@example.com')).status, 200)
    const events = await database.db.selectFrom('audit_events').select('action').execute()
    const throttled = events.filter((event) => event.action === 'sign_in.throttled')
    assert.equal(throttled.length, 1)
  })

  it('are counted before they are checked, so that many at once are no more', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => on.browser().signIn('ada@example.com', 'wrong')),
    )
    const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b)
    assert.deepEqual(statuses, [...Array(5).fill(401), ...Array(7).fill(429)])
  })

  it('are limited for one network over all accounts', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    // The 64 low bits are the client's own to choose.
    assert.equal((await on.browser('2001:db8::1').signIn('bob@example.com')).status, 401)
    await database.db
      .updateTable('sign_in_throttles')
      .set({ failures: 29 })
      .where('key_hash', 'like', 'network.%')
      .execute()
    assert.equal((await on.browser('2001:db8::2').signIn('eve@example.com')).status, 401)
    assert.equal((await on.browser('2001:db8::ffff').signIn('ada@example.com')).status, 429)
    assert.equal((await on.browser('2001:db9::1').signIn('ada@example.com')).status, 401)
  })

  it('on one account from everywhere do not lock out a browser that signed in before', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson('ada@example.com')
    const known = on.browser('198.51.100.1')
    await known.signIn('ada@example.com')
    await known.send('POST', '/api/auth/sign-out', {})
    const attacked = { failures: 100, updated_at: new Date(on.clock.now()).toISOString() }
    await database.db
      .updateTable('sign_in_throttles')
      .set(attacked)
      .where('key_hash', 'like', 'account.%')
      .execute()
    assert.equal((await on.browser('203.0.113.9').signIn('ada@example.com')).status, 429)
    assert.equal((await known.signIn('ada@example.com')).status, 200)
    on.clock.forward(61 * 60_000)
    assert.equal((await on.browser('203.0.113.9').signIn('ada@example.com')).status, 200)
  })
})
