import assert from 'node:assert/strict'
import { lstat, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'

import { type Browser, createBrowser, tokenOf } from '../_browser.ts'
import { sendRequest } from './_http.ts'
import type { Platform } from './_platform.ts'

export const PASSWORD = 'correct horse battery staple'

/** A browser on the platform's network port, at its public address. */
export function browserAt(platform: Platform, origin = `http://localhost:${platform.port}`) {
  return createBrowser(async (method, requestPath, headers, body) => {
    const {
      status,
      headers: answered,
      text,
    } = await sendRequest({
      port: platform.port,
      path: requestPath,
      method,
      headers: { ...headers, host: `localhost:${platform.port}` },
      ...(body === undefined ? {} : { body }),
      timeoutMs: 20_000,
    })
    return { status, setCookies: answered['set-cookie'] ?? [], text }
  }, origin)
}

/** The first person, by the setup link; asserts on the way that nothing else makes one. */
export async function setUp(platform: Platform): Promise<Browser> {
  const token = tokenOf(await platform.output())
  assert.equal(tokenOf((await platform.cli<{ url: string }>('setup-link')).url), token)
  const form = {
    name: 'Ada',
    email: 'Ada@Example.com',
    password: PASSWORD,
    organization_name: 'Acme',
  }
  const stranger = browserAt(platform)
  const without = await stranger.send('POST', '/api/setup', form)
  assert.equal(without.status, 422, without.text)
  const wrong = await stranger.send('POST', '/api/setup', { ...form, token: `${token}x` })
  assert.equal(wrong.status, 403, wrong.text)
  assert.deepEqual((await stranger.must('GET', '/api/setup'))['needed'], true)

  const owner = browserAt(platform)
  const done = await owner.send('POST', '/api/setup', { ...form, token })
  assert.equal(done.status, 201, done.text)
  assertSessionCookie(done.setCookies)
  const again = await stranger.send('POST', '/api/setup', {
    ...form,
    email: 'eve@example.com',
    token,
  })
  assert.equal(again.status, 409, again.text)
  assert.equal((await platform.cli<{ url: string | null }>('setup-link')).url, null)
  const me = await owner.must('GET', '/api/me')
  assert.equal(me['role'], 'owner')
  assert.equal((me['organization'] as { name: string }).name, 'Acme')
  return owner
}

/** Over http on loopback: for the browser alone, not across sites, everywhere on this host. */
export function assertSessionCookie(setCookies: string[]): void {
  const cookie = setCookies.find((line) => line.startsWith('nanoscale.session='))
  assert.ok(cookie, `no session among ${setCookies.length} cookies`)
  const attributes = cookie
    .split('; ')
    .slice(1)
    .map((attribute) => attribute.toLowerCase())
  for (const wanted of ['httponly', 'samesite=lax', 'path=/']) {
    assert.ok(attributes.includes(wanted), `${wanted} is missing: ${attributes.join('; ')}`)
  }
  assert.ok(!attributes.some((attribute) => attribute.startsWith('domain=')))
}

export async function signIn(browser: Browser, email: string, password = PASSWORD) {
  return await browser.send('POST', '/api/auth/sign-in/email', { email, password })
}

/** Somebody who was invited as `role` and came. */
export async function join(
  platform: Platform,
  owner: Browser,
  role: string,
): Promise<{ browser: Browser; token: string }> {
  const invitation = await owner.must('POST', `${await organizationOf(owner)}/invitations`, {
    email: `${role}@example.com`,
    role,
  })
  const token = tokenOf(invitation['url'])
  const browser = browserAt(platform)
  await browser.must('POST', '/api/invitations/accept', { token, name: role, password: PASSWORD })
  return { browser, token }
}

/** The address of the organization in which somebody acts. */
export async function organizationOf(browser: Browser): Promise<string> {
  const { organization } = await browser.must('GET', '/api/me')
  return `/api/organizations/${(organization as { id: string }).id}`
}

interface Verdict {
  events: number
  /** Recorded within the last second. */
  unsealed: number
  problem_count: number
}

/** How many events `audit verify` found, sealed or about to be; throws when one is not as it was. */
export async function verifyAudit(platform: Platform): Promise<number> {
  const verdict = await platform.cli<Verdict>('audit', 'verify')
  assert.equal(verdict.problem_count, 0, JSON.stringify(verdict))
  return verdict.events + verdict.unsealed
}

/**
 * Everything that the platform wrote, by path: its database, logs and facts, and what `start` printed but for the setup
 * link. Not its keys, nor the program, its tools and repositories.
 */
export async function readEverything(platform: Platform): Promise<Map<string, Buffer>> {
  const places = new Map<string, Buffer>()
  const skipped = new Set(['keys', 'toolchain', 'program', 'mirrors', 'compile-cache'])
  const read = async (directory: string): Promise<void> => {
    for (const name of await readdir(directory)) {
      if (skipped.has(name)) continue
      const file = path.join(directory, name)
      const facts = await lstat(file)
      if (facts.isDirectory()) await read(file)
      else if (facts.isFile()) places.set(file, await readFile(file))
    }
  }
  await read(platform.dataDirectory)
  const printed = (await platform.output()).split('\n')
  const others = printed.filter((line) => !line.includes('/setup#token='))
  places.set('what start printed', Buffer.from(others.join('\n')))
  const document = await browserAt(platform).send('GET', '/api/openapi.json')
  places.set('OpenAPI document', Buffer.from(document.text))
  return places
}

/** The keys that seal everything, as they stand in their file. */
export async function readKeys(platform: Platform): Promise<string[]> {
  const text = await readFile(path.join(platform.dataDirectory, 'keys/keyring'), 'utf8')
  return [...text.matchAll(/[A-Za-z0-9+/]{43}=/g)].map(([key]) => key)
}
