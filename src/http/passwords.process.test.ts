import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createResetLink, requestPasswordReset } from '../identity/sign-in/passwords.ts'
import { newId } from '../lib/ids.ts'
import type { MailMessage } from '../mail/create-mailer.ts'
import { PUBLIC_URL } from './_test-app.ts'
import { PASSWORD, signInTest, type Browser, type SignInTest } from './_test-sign-in.ts'

const EMAIL = 'ada@example.com'
const NEW_PASSWORD = 'staple battery horse'

function tokenOf(url: string): string {
  return new URL(url).hash.replace('#token=', '')
}

function linkFor(
  on: SignInTest,
  userId: string,
  options: { endsSecondFactor: boolean } = { endsSecondFactor: false },
): Promise<{ url: string; expires_at: string }> {
  const { db } = on.test.app
  const config = { publicBaseUrl: PUBLIC_URL }
  return createResetLink({ db, clock: on.clock, newId, config }, userId, options)
}

function reset(browser: Browser, url: string): Promise<Response> {
  const body = { token: tokenOf(url), newPassword: NEW_PASSWORD }
  return browser.send('POST', '/api/auth/reset-password', body)
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await (await browser.send('GET', '/api/auth/get-session')).json()) !== null
}

describeOnBothEngines('a link to choose a new password', (open) => {
  it('works once, ends all sessions and waits, and is nowhere in the database', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { id } = await on.addPerson(EMAIL)
    const signedIn = on.browser()
    await signedIn.signIn(EMAIL)
    const { url } = await linkFor(on, id)
    assert.match(url, /^https:\/\/nanoscale\.example\.com\/reset-password#token=pw_[\w-]{32}$/)
    const stored = await database.db.selectFrom('verifications').selectAll().execute()
    assert.ok(!JSON.stringify(stored).includes(tokenOf(url)))
    const browser = on.browser()
    for (let n = 0; n < 5; n += 1) await browser.signIn(EMAIL, 'wrong')
    assert.equal((await browser.signIn(EMAIL)).status, 429)
    assert.equal((await reset(browser, url)).status, 200)
    assert.equal(await isSignedIn(signedIn), false)
    assert.equal((await browser.signIn(EMAIL)).status, 401)
    assert.equal((await browser.signIn(EMAIL, NEW_PASSWORD)).status, 200)
    const again = await reset(on.browser(), url)
    assert.equal(again.status, 422)
    assert.equal(((await again.json()) as { code: string }).code, 'auth.invalid_link')
  })

  it('is refused after an hour, after a newer one, and when it is what the database holds', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { id } = await on.addPerson(EMAIL)
    const replaced = await linkFor(on, id)
    const newest = await linkFor(on, id)
    assert.equal((await reset(on.browser(), replaced.url)).status, 422)
    const [row] = await database.db.selectFrom('verifications').selectAll().execute()
    for (const token of [
      row?.identifier ?? '',
      row?.identifier.split('~')[1] ?? '',
      row?.id ?? '',
    ]) {
      assert.equal((await reset(on.browser(), `${PUBLIC_URL}/#token=${token}`)).status, 422)
    }
    on.clock.forward(60 * 60_000)
    assert.equal((await reset(on.browser(), newest.url)).status, 422)
    assert.equal((await on.browser().signIn(EMAIL)).status, 200)
  })

  it('stays when an owner made it, whoever asks for another one by mail', async () => {
    await using database = await open()
    const { promise: sent, resolve: send } = Promise.withResolvers<void>()
    const mailer = { configured: true, send: () => Promise.resolve(send()) }
    using on = await signInTest(database.db, { mailer })
    const { id } = await on.addPerson(EMAIL)
    const owners = await linkFor(on, id, { endsSecondFactor: true })
    await on.browser().send('POST', '/api/auth/request-password-reset', { email: EMAIL })
    await sent
    assert.equal((await reset(on.browser(), owners.url)).status, 200)
    assert.deepEqual(await database.db.selectFrom('verifications').selectAll().execute(), [])
  })

  it('ends with a newer one of an owner, also one by mail', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { id } = await on.addPerson(EMAIL)
    const old = [await linkFor(on, id, { endsSecondFactor: true }), await linkFor(on, id)]
    await linkFor(on, id, { endsSecondFactor: true })
    for (const { url } of old) assert.equal((await reset(on.browser(), url)).status, 422)
  })

  it('lets one of two in who use it at once', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { id } = await on.addPerson(EMAIL)
    const { url } = await linkFor(on, id)
    const answers = await Promise.all([reset(on.browser(), url), reset(on.browser(), url)])
    assert.deepEqual(
      answers.map((answer) => answer.status).toSorted((a, b) => a - b),
      [200, 422],
    )
  })

  it('goes by mail to whom it is for, three times in 15 minutes, and the answer tells nothing', async () => {
    await using database = await open()
    const sent: MailMessage[] = []
    let waiting = Promise.withResolvers<void>()
    const mailer = {
      configured: true,
      send: (message: MailMessage) => {
        sent.push(message)
        waiting.resolve()
        return Promise.resolve()
      },
    }
    using on = await signInTest(database.db, { mailer })
    await on.addPerson(EMAIL)
    const ask = (email: string) =>
      on.browser().send('POST', '/api/auth/request-password-reset', { email })
    const known = await ask(EMAIL)
    await waiting.promise
    const unknown = await ask('bob@example.com')
    assert.deepEqual([known.status, unknown.status], [200, 200])
    assert.equal(await known.text(), await unknown.text())
    const [mail] = sent
    assert.equal(mail?.to, EMAIL)
    const url = /https:\S+/.exec(mail?.text ?? '')?.[0] ?? ''
    assert.equal((await reset(on.browser(), url)).status, 200)
    for (let n = 0; n < 4; n += 1) {
      waiting = Promise.withResolvers()
      await ask(EMAIL)
      if (n < 2) await waiting.promise
    }
    assert.equal(sent.length, 3)
  })

  it('is not sent to the addresses of people whom Clerk feeds, which no mail reaches', async () => {
    await using database = await open()
    const mailer = { configured: true, send: () => Promise.reject(new Error('It was sent')) }
    using on = await signInTest(database.db, { mailer })
    const { id, email } = await on.addPerson('user_1@clerk.invalid')
    const request = {
      cookieHeader: null,
      address: null,
      network: null,
      userAgent: null,
      requestId: null,
    }
    const refused: unknown[] = []
    const log = { warn: (...told: unknown[]) => refused.push(told) }
    await requestPasswordReset({ ...on.test.app, clock: on.clock, log }, email, request)
    await setImmediate()
    await on.addPerson('bob@example.com')
    const { promise: done, resolve: onDone } = Promise.withResolvers<void>()
    const deps = { ...on.test.app, clock: on.clock, log, onDone }
    await requestPasswordReset(deps, 'bob@example.com', request)
    await done
    assert.equal(refused.length, 1)
    const links = await database.db.selectFrom('verifications').select('value').execute()
    assert.ok(links.every(({ value }) => value !== id))
  })

  it('is asked of the owners by the audit when no mail can be sent', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(EMAIL)
    await on.browser().send('POST', '/api/auth/request-password-reset', { email: EMAIL })
    const readEvents = () =>
      database.db
        .selectFrom('audit_events')
        .select(['target_name', 'organization_id'])
        .where('action', '=', 'password.reset_requested')
        .execute()
    const deadline = Date.now() + 5000
    let events = await readEvents()
    while (events.length === 0 && Date.now() < deadline) {
      await setImmediate()
      events = await readEvents()
    }
    assert.deepEqual(events, [{ target_name: EMAIL, organization_id: 'org-default' }])
    assert.deepEqual(await database.db.selectFrom('verifications').selectAll().execute(), [])
  })
})

describeOnBothEngines('changing the own password', (open) => {
  it('takes the old one, and ends the other sessions alone', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(EMAIL)
    const [here, there] = [on.browser(), on.browser()]
    await here.signIn(EMAIL)
    await there.signIn(EMAIL)
    const change = (currentPassword: string, newPassword = NEW_PASSWORD) =>
      here.send('POST', '/api/auth/change-password', { currentPassword, newPassword })
    assert.equal((await change('wrong')).status, 422)
    assert.equal((await change(PASSWORD, 'short')).status, 422)
    const changed = await change(PASSWORD)
    assert.deepEqual([changed.status, await changed.json()], [200, { status: true }])
    assert.equal(await isSignedIn(here), true)
    assert.equal(await isSignedIn(there), false)
    assert.equal((await on.browser().signIn(EMAIL, NEW_PASSWORD)).status, 200)
  })

  it('is for people with a session, from our own pages', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(EMAIL)
    const browser = on.browser()
    await browser.signIn(EMAIL)
    const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }
    const path = '/api/auth/change-password'
    assert.equal((await on.browser().send('POST', path, body)).status, 401)
    const headers = { origin: 'https://evil.example' }
    assert.equal((await browser.send('POST', path, body, { headers })).status, 403)
    assert.equal((await on.browser().signIn(EMAIL)).status, 200)
  })
})

describeOnBothEngines('the own sessions', (open) => {
  it('are listed and ended, and nobody else can', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(EMAIL)
    await on.addPerson('eve@example.com')
    const [here, there, eve] = [on.browser(), on.browser('198.51.100.7'), on.browser()]
    await here.signIn(EMAIL)
    await there.signIn(EMAIL)
    await eve.signIn('eve@example.com')
    const listed = await here.send('GET', '/api/me/sessions')
    const { items } = (await listed.json()) as { items: { id: string; current: boolean }[] }
    assert.deepEqual(
      items.map(({ current }) => current),
      [false, true],
    )
    assert.doesNotMatch(JSON.stringify(items), /token/)
    const other = items.find(({ current }) => !current)?.id ?? ''
    const foreign = await eve.send('DELETE', `/api/me/sessions/${other}`)
    const unknown = await eve.send('DELETE', '/api/me/sessions/nothing')
    assert.deepEqual([foreign.status, unknown.status], [404, 404])
    assert.equal(await foreign.text(), await unknown.text())
    assert.equal((await here.send('DELETE', `/api/me/sessions/${other}`)).status, 204)
    assert.equal(await isSignedIn(there), false)
    await there.signIn(EMAIL)
    const ended = await here.send('DELETE', '/api/me/sessions')
    assert.deepEqual(await ended.json(), { ended: 1 })
    assert.deepEqual(await Promise.all([here, there, eve].map(isSignedIn)), [true, false, true])
  })

  it('belong to somebody who can change their name and nothing else', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { id } = await on.addPerson(EMAIL)
    const browser = on.browser()
    await browser.signIn(EMAIL)
    const renamed = await browser.send('PATCH', '/api/me', { name: ' Countess ' })
    assert.deepEqual(await renamed.json(), { user: { id, email: EMAIL, name: 'Countess' } })
    for (const field of ['email', 'id', 'email_verified', 'two_factor_enabled', 'role']) {
      const answer = await browser.send('PATCH', '/api/me', { name: 'A', [field]: 'x' })
      assert.equal(answer.status, 422)
      assert.match(await answer.text(), new RegExp(field))
    }
  })
})
