/** The API with the real sign-in library behind it, and browsers that keep their cookies. */
import { createHmac } from 'node:crypto'

import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { createPerson } from '../identity/people.ts'
import { createSignIn } from '../identity/sign-in/create-sign-in.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { PUBLIC_URL, testApp, type SendOptions, type TestApp } from './_test-app.ts'
import type { HttpApp } from './http-app.ts'

export const PASSWORD = 'correct horse battery'

export interface MovableClock extends Clock {
  forward(ms: number): void
}

/** Time of this machine, moved ahead by a test. */
export function movableClock(): MovableClock {
  let ahead = 0
  return {
    now: () => systemClock.now() + ahead,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    forward: (ms) => {
      ahead += ms
    },
  }
}

export interface SignInTest extends Disposable {
  test: TestApp
  clock: MovableClock
  browser(address?: string): Browser
  addPerson(email: string): Promise<{ id: string; email: string }>
}

export async function signInTest(
  db: Database,
  overrides: Partial<HttpApp> = {},
): Promise<SignInTest> {
  const clock = movableClock()
  const keyring = createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(7) }])
  const config = { publicBaseUrl: PUBLIC_URL, sessionDays: 7 }
  const signIn = await createSignIn({ db, clock, newId, keyring, log: silentLogger, config })
  const test = testApp(db, { clock, keyring, signIn, ...overrides })
  // Once for all people of a test: hashing takes a tenth of a second.
  let passwordHash: Promise<string> | undefined
  return {
    test,
    clock,
    browser: (address) => createBrowser(test, address),
    addPerson: async (email) => {
      const hash = await (passwordHash ??= signIn.hashPassword(PASSWORD))
      const person = { email, name: 'Ada', passwordHash: hash }
      const { id } = await inTransaction(db, (tx) => createPerson({ clock, newId }, tx, person))
      await db
        .insertInto('organization_members')
        .values({
          id: newId(),
          organization_id: 'org-default',
          user_id: id,
          role: 'member',
          project_access: 'all',
          clerk_membership_id: null,
          joined_at: '2026-01-01T00:00:00.000Z',
          updated_at: '2026-01-01T00:00:00.000Z',
        })
        .execute()
      return { id, email }
    },
    [Symbol.dispose]: () => test[Symbol.dispose](),
  }
}

export interface Browser {
  cookies: Map<string, string>
  lastSetCookies: string[]
  send(method: string, path: string, body?: unknown, options?: SendOptions): Promise<Response>
  signIn(email: string, password?: string): Promise<Response>
}

function createBrowser(test: TestApp, address = '192.0.2.1'): Browser {
  const cookies = new Map<string, string>()
  const browser: Browser = {
    cookies,
    lastSetCookies: [],
    send: async (method, path, body, options = {}) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const headers = { origin: PUBLIC_URL, ...(cookie === '' ? {} : { cookie }) }
      const response = await test.request(method, path, {
        token: null,
        address,
        ...(body === undefined ? {} : { body }),
        ...options,
        headers: { ...headers, ...options.headers },
      })
      browser.lastSetCookies = response.headers.getSetCookie()
      for (const line of browser.lastSetCookies) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (value === '' || line.includes('Max-Age=0')) cookies.delete(name)
        else cookies.set(name, value)
      }
      return response
    },
    signIn: (email, password = PASSWORD) =>
      browser.send('POST', '/api/auth/sign-in/email', { email, password }),
  }
  return browser
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** What an authenticator app shows for an `otpauth:` URI, so many periods of 30 s from now. */
export function codeOf(uri: string, periods = 0): string {
  const secret = new URL(uri).searchParams.get('secret') ?? ''
  const bits = secret.split('').map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0'))
  const bytes = bits.join('').match(/.{8}/g) ?? []
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + periods))
  const key = Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)))
  const mac = createHmac('sha1', key).update(counter).digest()
  const offset = (mac.at(-1) ?? 0) & 0xf
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, '0')
}
