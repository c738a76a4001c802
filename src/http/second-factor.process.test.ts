import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createResetLink } from '../identity/sign-in/passwords.ts'
import { OperationError } from '../lib/errors.ts'
import { codeOf, PASSWORD, signInTest, type Browser, type SignInTest } from './_test-sign-in.ts'

const EMAIL = 'ada@example.com'
const VERIFY = '/api/auth/two-factor/verify-totp'
const RECOVER = '/api/auth/two-factor/verify-backup-code'

interface Enabled {
  totpURI: string
  backupCodes: string[]
}

async function codeIn(response: Response): Promise<unknown> {
  return ((await response.json()) as { code?: unknown }).code
}

/** Switches the second factor on with the code of now. */
async function enable(on: SignInTest): Promise<Enabled & { browser: Browser; code: string }> {
  await on.addPerson(EMAIL)
  const browser = on.browser()
  await browser.signIn(EMAIL)
  const begun = await browser.send('POST', '/api/auth/two-factor/enable', { password: PASSWORD })
  assert.equal(begun.status, 200)
  const enabled = (await begun.json()) as Enabled
  const code = codeOf(enabled.totpURI)
  const verified = await browser.send('POST', VERIFY, { code })
  assert.equal(verified.status, 200)
  return { ...enabled, browser, code }
}

/** A browser that sent the right password and is asked for a code. */
async function challenged(on: SignInTest): Promise<Browser> {
  const browser = on.browser()
  const response = await browser.signIn(EMAIL)
  assert.deepEqual(await response.json(), {
    twoFactorRedirect: true,
    twoFactorMethods: ['totp'],
  })
  return browser
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await (await browser.send('GET', '/api/auth/get-session')).json()) !== null
}

describeOnBothEngines('the second factor', (open) => {
  it('is asked for after the password, and its codes work once', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { totpURI, browser: first, code: usedCode } = await enable(on)
    assert.equal(await isSignedIn(first), true)
    const browser = await challenged(on)
    assert.equal(await isSignedIn(browser), false)
    // The code that switched it on was used.
    const used = await browser.send('POST', VERIFY, { code: usedCode })
    assert.deepEqual([used.status, await codeIn(used)], [401, 'auth.code_used'])
    assert.equal(await isSignedIn(browser), false)
    const wrong = await browser.send('POST', VERIFY, { code: '000000' })
    assert.deepEqual([wrong.status, await codeIn(wrong)], [401, 'auth.invalid_code'])
    const nextCode = codeOf(totpURI, 1)
    const next = await browser.send('POST', VERIFY, { code: nextCode })
    assert.equal(next.status, 200)
    assert.ok(!(await next.text()).includes('token'))
    assert.equal(await isSignedIn(browser), true)
    const replayed = await challenged(on)
    const again = await replayed.send('POST', VERIFY, { code: nextCode })
    assert.equal(again.status, 401)
    assert.equal(await isSignedIn(replayed), false)
  })

  it('keeps a code that could not be checked', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { totpURI } = await enable(on)
    const browser = await challenged(on)
    const code = codeOf(totpURI, 1)
    const { signIn } = on.test.app
    const real = { ...signIn }
    signIn.call = () => Promise.reject(new OperationError('auth.busy', 'Cannot check a code'))
    assert.equal((await browser.send('POST', VERIFY, { code })).status, 503)
    signIn.call = (...asked) => real.call(...asked)
    assert.equal((await browser.send('POST', VERIFY, { code })).status, 200)
  })

  it('lets one of two in who bring the same code at once', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { totpURI, backupCodes } = await enable(on)
    const both = [await challenged(on), await challenged(on)]
    const code = codeOf(totpURI, 1)
    const byCode = await Promise.all(both.map((browser) => browser.send('POST', VERIFY, { code })))
    assert.deepEqual(
      byCode.map((answer) => answer.status).toSorted((a, b) => a - b),
      [200, 401],
    )
    const others = [await challenged(on), await challenged(on)]
    const recovery = { code: backupCodes[0] }
    const byRecovery = await Promise.all(
      others.map((browser) => browser.send('POST', RECOVER, recovery)),
    )
    assert.deepEqual(
      byRecovery.map((answer) => answer.status).toSorted((a, b) => a - b),
      [200, 401],
    )
    const signedIn = await Promise.all([...both, ...others].map(isSignedIn))
    assert.equal(signedIn.filter(Boolean).length, 2)
    const late = await (await challenged(on)).send('POST', RECOVER, recovery)
    assert.equal(await codeIn(late), 'auth.invalid_code')
  })

  it('takes five codes for one password, and is locked for 15 minutes after ten wrong ones', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { totpURI } = await enable(on)
    for (let n = 0; n < 2; n += 1) {
      const browser = await challenged(on)
      for (let tried = 0; tried < 5; tried += 1) {
        assert.equal((await browser.send('POST', VERIFY, { code: '000000' })).status, 401)
      }
    }
    const locked = await (await challenged(on)).send('POST', VERIFY, { code: codeOf(totpURI, 1) })
    assert.deepEqual([locked.status, await codeIn(locked)], [429, 'auth.throttled'])
    const { locked_until: until } = await database.db
      .selectFrom('two_factors')
      .select('locked_until')
      .executeTakeFirstOrThrow()
    const minutes = (Date.parse(until ?? '') - Date.now()) / 60_000
    assert.ok(minutes > 14 && minutes <= 15, `locked for ${minutes} minutes`)
    await database.db
      .updateTable('two_factors')
      .set({ locked_until: '2026-01-01T00:00:00.000Z' })
      .execute()
    await database.db.deleteFrom('used_totp_codes').execute()
    const free = await (await challenged(on)).send('POST', VERIFY, { code: codeOf(totpURI, 1) })
    assert.equal(free.status, 200)
  })

  it('does not let a code in without the password, or long after it', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { totpURI } = await enable(on)
    const nobody = await on.browser().send('POST', VERIFY, { code: codeOf(totpURI, 1) })
    assert.deepEqual([nobody.status, await codeIn(nobody)], [401, 'auth.challenge_expired'])
    const slow = await challenged(on)
    on.clock.forward(11 * 60_000)
    const late = await slow.send('POST', VERIFY, { code: codeOf(totpURI, 1) })
    assert.equal(await codeIn(late), 'auth.challenge_expired')
  })

  it('is switched off, and its recovery codes are made anew, with the password alone', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { browser, backupCodes } = await enable(on)
    const regenerate = '/api/auth/two-factor/generate-backup-codes'
    const wrong = await browser.send('POST', regenerate, { password: 'wrong' })
    assert.deepEqual([wrong.status, await codeIn(wrong)], [422, 'auth.invalid_password'])
    const made = await browser.send('POST', regenerate, { password: PASSWORD })
    const fresh = ((await made.json()) as Enabled).backupCodes
    assert.equal(fresh.length, 10)
    const old = await (await challenged(on)).send('POST', RECOVER, { code: backupCodes[0] })
    assert.equal(old.status, 401)
    const off = await browser.send('POST', '/api/auth/two-factor/disable', { password: PASSWORD })
    assert.equal(off.status, 200)
    assert.equal(await isSignedIn(browser), true)
    assert.equal((await on.browser().signIn(EMAIL)).status, 200)
    const actions = await database.db
      .selectFrom('audit_events')
      .select('action')
      .where('action', 'like', 'two_factor.%')
      .orderBy('id')
      .execute()
    assert.deepEqual(
      actions.map(({ action }) => action),
      ['two_factor.enabled', 'two_factor.recovery_codes_made', 'two_factor.disabled'],
    )
  })

  it('stays on after a link by mail, and ends with one that an owner passes on', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await enable(on)
    const { id } = await database.db.selectFrom('users').select('id').executeTakeFirstOrThrow()
    const reset = async (url: string) => {
      const body = { token: new URL(url).hash.replace('#token=', ''), newPassword: PASSWORD }
      return (await on.browser().send('POST', '/api/auth/reset-password', body)).status
    }
    const mailed = await createResetLink(on.test.app, id)
    assert.equal(await reset(mailed.url.replace('=pw_', '=all_')), 422)
    assert.equal(await reset(mailed.url), 200)
    await challenged(on)
    const passedOn = await createResetLink(on.test.app, id, { endsSecondFactor: true })
    assert.equal(await reset(passedOn.url.replace('=all_', '=pw_')), 422)
    assert.equal(await reset(passedOn.url), 200)
    const browser = on.browser()
    await browser.signIn(EMAIL)
    assert.equal(await isSignedIn(browser), true)
    assert.deepEqual(await database.db.selectFrom('two_factors').selectAll().execute(), [])
  })

  it('keeps its secret and its recovery codes out of what the database can tell', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const { totpURI, backupCodes } = await enable(on)
    const row = await database.db.selectFrom('two_factors').selectAll().executeTakeFirstOrThrow()
    const content = JSON.stringify([
      row,
      await database.db.selectFrom('used_totp_codes').selectAll().execute(),
    ])
    const secret = new URL(totpURI).searchParams.get('secret') ?? ''
    for (const value of [secret, codeOf(totpURI), ...backupCodes]) {
      assert.ok(!content.includes(value))
      assert.ok(!content.includes(Buffer.from(value).toString('base64url')))
    }
  })
})
