import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { readSetupLink } from '../identity/setup.ts'
import { newId } from '../lib/ids.ts'
import { PASSWORD, signInTest, type SignInTest } from './_test-sign-in.ts'

async function linkOf(on: SignInTest): Promise<string | null> {
  const response = await on.test.request('GET', '/api/instance/setup-link')
  return ((await response.json()) as { url: string | null }).url
}

function formWith(url: string | null, changes: object = {}): object {
  return {
    token: new URL(url ?? 'https://x/').hash.replace('#token=', ''),
    name: 'Ada',
    email: 'Ada@Example.com',
    password: PASSWORD,
    organization_name: 'Analytical Engines',
    ...changes,
  }
}

describeOnBothEngines('setting NanoScale up', (open) => {
  it('makes the first person the owner of the organization they name, and signs them in', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const url = await linkOf(on)
    assert.match(url ?? '', /^https:\/\/nanoscale\.example\.com\/setup#token=[\w-]{43}$/)
    assert.equal(await linkOf(on), url)
    const browser = on.browser()
    const done = await browser.send('POST', '/api/setup', formWith(url))
    assert.equal(done.status, 201)
    const me = (await (await browser.send('GET', '/api/me')).json()) as Record<string, unknown>
    assert.deepEqual(
      [me['role'], me['organization']],
      ['owner', { id: 'org-default', slug: 'default', name: 'Analytical Engines' }],
    )
    assert.equal((await on.browser().signIn('ada@example.com')).status, 200)
    assert.equal(await linkOf(on), null)
    assert.deepEqual(await (await browser.send('GET', '/api/setup')).json(), { needed: false })
    const again = await on.browser().send('POST', '/api/setup', formWith(url, { email: 'e@x.org' }))
    assert.equal(again.status, 409)
    const events = await database.db.selectFrom('audit_events').selectAll().execute()
    assert.equal(events[0]?.action, 'setup.completed')
    assert.ok(!JSON.stringify(events).includes(new URL(url ?? '').hash.slice(7)))
  })

  it('takes nobody without the link', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const url = await linkOf(on)
    for (const token of ['x', 'x'.repeat(43), 'ä'.repeat(43)]) {
      const answer = await on.browser().send('POST', '/api/setup', formWith(url, { token }))
      assert.equal(answer.status, 403)
    }
    assert.equal((await on.browser().send('GET', '/api/instance/setup-link')).status, 401)
    assert.deepEqual(await database.db.selectFrom('users').selectAll().execute(), [])
  })

  it('happens once, however many use the link at once', async () => {
    await using database = await open()
    using on = await signInTest(database.db)
    const url = await linkOf(on)
    const forms = [1, 2, 3].map((n) => formWith(url, { email: `p${n}@example.com` }))
    const answers = await Promise.all(
      forms.map((form) => on.browser().send('POST', '/api/setup', form)),
    )
    const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b)
    assert.deepEqual(statuses, [201, 409, 409])
    assert.equal((await database.db.selectFrom('users').selectAll().execute()).length, 1)
    assert.equal((await database.db.selectFrom('sessions').selectAll().execute()).length, 1)
  })

  it('has a link that is of this instance alone', async () => {
    await using one = await open()
    await using other = await open()
    using here = await signInTest(one.db)
    using there = await signInTest(other.db)
    const read = (on: SignInTest) => readSetupLink({ ...on.test.app, clock: on.clock, newId })
    assert.notEqual(await read(here), await read(there))
  })
})
