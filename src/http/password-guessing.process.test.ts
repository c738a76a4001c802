import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { OperationError } from '../lib/errors.ts'
import { PASSWORD, signInTest, type Browser } from './_test-sign-in.ts'

const ADA = 'ada@example.com'
const NEW_PASSWORD = 'staple battery horse'

function guess(browser: Browser): Promise<Response> {
  const body = { currentPassword: 'wrong password', newPassword: NEW_PASSWORD }
  return browser.send('POST', '/api/auth/change-password', body)
}

describeOnBothEngines('guessing a password', (open) => {
  it('is not made free by calls that check none', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(ADA)
    const browser = on.browser()
    await browser.signIn(ADA)
    for (let n = 0; n < 5; n += 1) {
      assert.equal((await guess(browser)).status, 422)
      if (n === 4) break
      // There is no second factor, which is found before the password is looked at.
      const path = '/api/auth/two-factor/generate-backup-codes'
      assert.equal((await browser.send('POST', path, { password: 'wrong' })).status, 409)
    }
    assert.equal((await guess(browser)).status, 429)
  })

  it('takes as long for an address that nobody has', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(ADA)
    const begun = on.clock.now()
    const answeredAt: number[] = []
    on.clock.sleep = (ms) => {
      answeredAt.push(on.clock.now() + ms)
      return Promise.resolve()
    }
    // Of the time that is told here every answer is due at a full step after its beginning.
    let now = begun
    on.clock.now = () => (now += 7)
    for (const email of [ADA, 'bob@example.com']) {
      now = begun
      assert.equal((await on.browser().signIn(email, 'wrong')).status, 401)
    }
    const [known, unknown] = answeredAt
    assert.equal(answeredAt.length, 2)
    assert.equal(known, unknown)
    assert.equal((await on.browser().signIn(ADA)).status, 200)
    assert.equal(answeredAt.length, 2)
  })

  it('is not made free by a sign-in that finds too many others', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(ADA)
    const { signIn } = on.test.app
    const real = { ...signIn }
    const checked: typeof real.call = (...asked) => real.call(...asked)
    const busy: typeof real.call = () =>
      Promise.reject(new OperationError('auth.busy', 'Cannot check a password'))
    const browser = on.browser()
    for (let n = 0; n < 5; n += 1) {
      assert.equal((await browser.signIn(ADA, 'wrong')).status, 401)
      if (n === 4) break
      signIn.call = busy
      assert.equal((await browser.signIn(ADA, 'wrong')).status, 503)
      signIn.call = checked
    }
    assert.equal((await browser.signIn(ADA)).status, 429)
    // Nothing was checked, so nothing is counted, not even a wait.
    on.clock.forward(1001)
    signIn.call = busy
    assert.equal((await browser.signIn(ADA)).status, 503)
    signIn.call = checked
    assert.equal((await browser.signIn(ADA)).status, 200)
  })

  it('of one person is not counted as that of another, whose session came along', async () => {
    await using database = await open()
    const ada = { id: '' }
    const clerkSessions = {
      authenticate: () => {
        const found = { userId: ada.id, name: 'Ada', email: ADA, organization: null }
        return Promise.resolve(found)
      },
    }
    using on = await signInTest(database.db, { clerkSessions })
    ada.id = (await on.addPerson(ADA)).id
    await on.addPerson('bob@example.com')
    const stolen = on.browser()
    await stolen.signIn('bob@example.com')
    const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }
    const headers = { authorization: 'Bearer session-of-ada' }
    const answer = await stolen.send('POST', '/api/auth/change-password', body, { headers })
    assert.equal(answer.status, 401)
    assert.equal((await on.browser().signIn('bob@example.com')).status, 200)
  })

  it('from the network of the owner does not lock them out of a browser that they use', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    await on.addPerson(ADA)
    const known = on.browser()
    await known.signIn(ADA)
    await known.send('POST', '/api/auth/sign-out', {})
    const attacker = on.browser()
    for (let n = 0; n < 5; n += 1) await attacker.signIn(ADA, 'wrong')
    assert.equal((await attacker.signIn(ADA)).status, 429)
    assert.equal((await known.signIn(ADA)).status, 200)
    await database.db
      .updateTable('sign_in_throttles')
      .set({ failures: 30, updated_at: new Date(on.clock.now()).toISOString() })
      .where('key_hash', 'like', 'network.%')
      .execute()
    assert.equal((await attacker.signIn('bob@example.com')).status, 429)
    assert.equal((await known.signIn(ADA)).status, 200)
    for (let n = 0; n < 5; n += 1) assert.equal((await known.signIn(ADA, 'wrong')).status, 401)
    assert.equal((await known.signIn(ADA)).status, 429)
  })
})
