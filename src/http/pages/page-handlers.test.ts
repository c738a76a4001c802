import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import { ROUTES } from '../../contract/routes.ts'
import type { Database } from '../../database/database.ts'
import { testApp, type TestApp } from '../_test-app.ts'

const PAGES = Object.entries(ROUTES).filter(([id]) => id.startsWith('pages.'))
const SCRIPTS = Object.entries(ROUTES).filter(([id]) => id.startsWith('scripts.'))

async function read(test: TestApp, path: string): Promise<{ text: string; response: Response }> {
  const response = await test.request('GET', path, { token: null })
  assert.equal(response.status, 200, path)
  return { text: await response.text(), response }
}

function attributesOf(text: string, tag: string): string[] {
  return [...text.matchAll(new RegExp(`<${tag}\\b([^>]*)>`, 'g'))].map(([, found]) => found ?? '')
}

describeOnBothEngines('pages for people', (open) => {
  it('run our scripts alone, and send no form by themselves', async () => {
    await using database = await open()
    using test = ableApp(database.db)
    for (const [, { path }] of PAGES) {
      const { text, response } = await read(test, path)
      const policy = response.headers.get('content-security-policy') ?? ''
      assert.match(policy, /default-src 'none'/)
      assert.match(policy, /script-src 'self'(;|$)/)
      assert.match(policy, /form-action 'none'/)
      assert.match(policy, /frame-ancestors 'none'/)
      const scripts = attributesOf(text, 'script')
      assert.equal(scripts.length, 1)
      const [, source] = /src="(\/scripts\/[a-z-]+\.js)"/.exec(scripts[0] ?? '') ?? []
      const served = SCRIPTS.map(([, script]) => script.path as string)
      assert.ok(served.includes(source ?? ''), path)
      assert.doesNotMatch(text, /<script[^>]*>[^<]/, 'nothing inline')
      assert.doesNotMatch(text, /\son[a-z]+="/)
      assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//, 'nothing from elsewhere')
      for (const form of attributesOf(text, 'form')) assert.match(form, /method="post"/)
    }
  })

  it('name every input, say what fills it, and have a place for what is wrong with it', async () => {
    await using database = await open()
    using test = ableApp(database.db)
    const fillers = new Set<string>()
    for (const [, { path }] of PAGES) {
      const { text } = await read(test, path)
      const ids = [...text.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
      assert.equal(new Set(ids).size, ids.length, `${path} uses an id twice`)
      for (const input of attributesOf(text, 'input')) {
        const [, filler = ''] = /autocomplete="([a-z-]+)"/.exec(input) ?? []
        fillers.add(filler)
        if (/\shidden/.test(input)) continue
        const [, id = ''] = /id="([^"]+)"/.exec(input) ?? []
        assert.ok(text.includes(`<label for="${id}">`), `${path} ${id} has no label`)
        const [, described = ''] = /aria-describedby="([^"]+)"/.exec(input) ?? []
        assert.ok(described.split(' ').every((part) => ids.includes(part)))
      }
      assert.match(text, /role="alert"/)
      assert.match(text, /<html lang="en">/)
      assert.match(text, /<noscript>/)
    }
    for (const filler of ['username', 'current-password', 'new-password', 'one-time-code']) {
      assert.ok(fillers.has(filler), filler)
    }
  })

  it('serve the scripts as what they are', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (const [, { path }] of SCRIPTS) {
      const { text, response } = await read(test, path)
      assert.match(response.headers.get('content-type') ?? '', /^text\/javascript/)
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      const addresses = [...text.matchAll(/'(\/api\/[a-z/-]+[a-z])'/g)].map(
        ([, address]) => address,
      )
      for (const address of addresses) {
        const known = Object.values(ROUTES).some((route) => route.path === address)
        assert.ok(known, `${path} calls ${address}, which no route has`)
      }
    }
  })

  it('offer what this NanoScale can do', async () => {
    await using database = await open()
    using plain = testApp(database.db)
    assert.doesNotMatch((await read(plain, '/sign-in')).text, /id="oidc"/)
    assert.match((await read(plain, '/forgot-password')).text, /sends no mail/)
    using able = ableApp(database.db, 'A & B <c>')
    assert.match((await read(able, '/sign-in')).text, /Sign in with A &amp; B &lt;c&gt;/)
    assert.match((await read(able, '/forgot-password')).text, /id="forgot"/)
  })

  it('lead to the setup, to signing in, or to the own account', async () => {
    await using database = await open()
    using test = testApp(database.db)
    assert.match((await read(test, '/')).text, /href="\/setup"/)
    const person = await test.as('viewer')
    const own = await (await person('GET', '/')).text()
    assert.match(own, /signed in as A viewer\. <a href="\/account">/)
    await database.db
      .updateTable('organizations')
      .set({ setup_completed_at: '2026-01-01T00:00:00.000Z' })
      .execute()
    assert.match((await read(test, '/')).text, /href="\/sign-in"/)
  })
})

/** With everything that pages can offer. */
function ableApp(db: Database, oidcName = 'Acme'): TestApp {
  using plain = testApp(db)
  const config = { ...plain.app.config, oidcIssuer: 'https://id.example.com', oidcName }
  return testApp(db, { config, mailer: { configured: true, send: () => Promise.resolve() } })
}
