import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type Browser, sessionCookie, tokenOf } from '../_browser.ts'
import { useEveryCredential } from '../_every-credential.ts'
import { startGitHost } from '../_git-host.ts'
import { findLeaks } from '../_leaks.ts'
import { testApp } from './_apps.ts'
import {
  assertSessionCookie,
  browserAt,
  join,
  organizationOf,
  readEverything,
  readKeys,
  setUp,
  signIn,
  verifyAudit,
} from './_identity.ts'
import { type Platform, startPlatform } from './_platform.ts'

describe('people and access', () => {
  it('A-03 A-05 A-06 belongs to nobody until the setup link is used, once, then to those who are invited', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const owner = await setUp(platform)
    await refuseStrangers(platform)
    await signInAgain(platform)
    const people = await refuseByRole(platform, owner)
    await limitToken(platform, people.member)
    await keepThroughRotation(platform, owner)
    await keepThroughCrash(platform, owner)
    await resetByLink(platform, owner)
    assert.ok((await verifyAudit(platform)) > 10)
    await platform.stopAll()
  })

  it('keeps no credential that anybody could use', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    const { url } = await host.createRepository('shop', testApp({ version: 'one' }))
    const credentials = await useEveryCredential({
      newBrowser: () => browserAt(platform),
      operator: (method, path, body) => platform.api(method, path, body),
      setupToken: tokenOf(await platform.output()),
      repository: { repo_url: url, branch: 'main' },
    })
    const keys = await readKeys(platform)
    assert.equal(keys.length, 1)
    for (const key of keys) {
      credentials.set('encryption key', key)
      const bytes = Buffer.from(key, 'base64')
      credentials.set('encryption key, hex', bytes.toString('hex'))
      credentials.set('encryption key, base64url', bytes.toString('base64url'))
    }
    const whileItRuns = await readEverything(platform)
    const written = [...whileItRuns.keys()]
    for (const wanted of [/nanoscale\.db$/, /nanoscale\.db-wal$/, /\/logs\//]) {
      assert.ok(
        written.some((file) => wanted.test(file)),
        `${wanted} is not among what was read`,
      )
    }
    assert.deepEqual(findLeaks(credentials, whileItRuns), [])
    const known = findLeaks(new Map([['address', 'ada@example.com']]), whileItRuns)
    assert.ok(
      known.some(({ place }) => /nanoscale\.db/.test(place)),
      'what is in the clear is found',
    )
    await platform.kill('control')
    assert.deepEqual(findLeaks(credentials, await readEverything(platform)), [])
    await platform.stopAll()
  })
})

async function refuseStrangers(platform: Platform): Promise<void> {
  const stranger = browserAt(platform)
  for (const path of ['/api/me', '/api/projects', '/api/audit', '/api/tokens', '/metrics']) {
    assert.equal((await stranger.send('GET', path)).status, 401, path)
  }
  for (const path of ['/', '/sign-in', '/setup', '/account', '/scripts/forms.js']) {
    assert.equal((await stranger.send('GET', path)).status, 200, path)
  }
  for (const path of ['sign-up/email', 'organization/create', 'delete-user', 'list-sessions']) {
    const answer = await stranger.send('POST', `/api/auth/${path}`, { email: 'eve@example.com' })
    assert.equal(answer.status, 404, path)
  }
}

/** who signs in gets another session than the browser brought, which ends. A-03: no other site can ask. */
async function signInAgain(platform: Platform): Promise<void> {
  const browser = browserAt(platform)
  const wrong = await signIn(browser, 'ada@example.com', 'not the password')
  assert.equal(wrong.status, 401, wrong.text)
  const nobody = await signIn(browser, 'nobody@example.com', 'not the password')
  assert.deepEqual([nobody.status, nobody.json], [wrong.status, wrong.json])
  const planted = browserAt(platform)
  assert.equal((await signIn(planted, 'ada@example.com')).status, 200)
  browser.cookies.set('nanoscale.session', sessionCookie(planted))
  const right = await signIn(browser, 'ada@example.com')
  assert.equal(right.status, 200, right.text)
  assertSessionCookie(right.setCookies)
  assert.notEqual(sessionCookie(browser), sessionCookie(planted))
  assert.equal((await planted.send('GET', '/api/me')).status, 401)
  const foreign = browserAt(platform, 'https://evil.example')
  assert.equal((await signIn(foreign, 'ada@example.com')).status, 403)
  foreign.cookies.set('nanoscale.session', sessionCookie(browser))
  assert.equal((await foreign.send('PATCH', '/api/me', { name: 'Eve' })).status, 403)
  await browser.must('POST', '/api/auth/sign-out')
}

async function refuseByRole(platform: Platform, owner: Browser) {
  const { browser: viewer } = await join(platform, owner, 'viewer')
  const { browser: member, token } = await join(platform, owner, 'member')
  const { browser: admin } = await join(platform, owner, 'admin')
  const again = { token, name: 'Eve', password: 'another password' }
  const replayed = await browserAt(platform).send('POST', '/api/invitations/accept', again)
  assert.equal(replayed.status, 404, replayed.text)
  const organization = await organizationOf(owner)
  const invitation = { email: 'x@example.com', role: 'owner' }
  const project = { name: 'nothing', repo_url: 'https://nowhere.invalid/a/b', branch: 'main' }
  const table: [string, string, unknown, Record<string, number>][] = [
    ['GET', '/api/projects', undefined, { viewer: 200, member: 200, admin: 200, owner: 200 }],
    // A member gets as far as the address, which may not be fetched from.
    ['POST', '/api/projects', project, { viewer: 403, member: 422, admin: 422, owner: 422 }],
    ['GET', '/api/audit', undefined, { viewer: 403, member: 403, admin: 200, owner: 200 }],
    [
      'POST',
      `${organization}/invitations`,
      invitation,
      { viewer: 403, member: 403, admin: 403, owner: 201 },
    ],
    ['GET', '/api/instance/keys', undefined, { viewer: 403, member: 403, admin: 403, owner: 403 }],
  ]
  const people: Record<string, Browser> = { viewer, member, admin, owner }
  for (const [method, path, body, expected] of table) {
    for (const [role, status] of Object.entries(expected)) {
      const answer = await people[role]?.send(method, path, body)
      assert.equal(answer?.status, status, `${method} ${path} as ${role}: ${answer?.text}`)
    }
  }
  return { viewer, member, admin }
}

/** A token may what its scopes say, and never more than its maker. */
async function limitToken(platform: Platform, member: Browser): Promise<void> {
  const { token } = await member.must('POST', '/api/tokens', {
    name: 'reader',
    scopes: ['projects:read'],
  })
  const program = browserAt(platform)
  const authorization = `Bearer ${String(token)}`
  const ask = (method: string, path: string, body?: unknown) =>
    program.send(method, path, body, { authorization })
  assert.equal((await ask('GET', '/api/projects')).status, 200)
  assert.equal((await ask('POST', '/api/tokens', { name: 'more' })).status, 403)
  assert.equal((await ask('GET', '/api/audit')).status, 403)
  assert.equal((await ask('GET', '/api/me/sessions')).status, 403)
}

async function keepThroughRotation(platform: Platform, owner: Browser): Promise<void> {
  const before = await verifyAudit(platform)
  await platform.cli('keys', 'rotate')
  await owner.must('GET', '/api/me')
  assert.equal((await signIn(browserAt(platform), 'ada@example.com')).status, 200)
  assert.ok((await verifyAudit(platform)) > before)
}

async function keepThroughCrash(platform: Platform, owner: Browser): Promise<void> {
  const browsers = [0, 1, 2].map(() => browserAt(platform))
  const attempts = browsers.map((browser) => signIn(browser, 'ada@example.com'))
  const settled = Promise.allSettled(attempts)
  await platform.kill('control')
  await settled
  await owner.must('GET', '/api/me')
  const late = browserAt(platform)
  assert.equal((await signIn(late, 'ada@example.com')).status, 200)
  await verifyAudit(platform)
}

async function resetByLink(platform: Platform, owner: Browser): Promise<void> {
  const { url } = await platform.cli<{ url: string }>('members', 'reset-link', 'member@example.com')
  const before = browserAt(platform)
  assert.equal((await signIn(before, 'member@example.com')).status, 200)
  const choice = { token: tokenOf(url), newPassword: 'a wholly new password' }
  const browser = browserAt(platform)
  assert.equal((await browser.send('POST', '/api/auth/reset-password', choice)).status, 200)
  const used = await browser.send('POST', '/api/auth/reset-password', choice)
  assert.equal(used.status, 422, used.text)
  assert.equal((await before.send('GET', '/api/me')).status, 401, 'sessions of before are over')
  assert.equal((await signIn(browser, 'member@example.com')).status, 401)
  assert.equal((await signIn(browser, 'member@example.com', choice.newPassword)).status, 200)
  await owner.must('GET', '/api/me')
}
