import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { sql } from 'kysely'

import { createBrowser, tokenOf } from '../../test/_browser.ts'
import { describeOnBothEngines } from '../../test/_databases.ts'
import { useEveryCredential } from '../../test/_every-credential.ts'
import { findLeaks } from '../../test/_leaks.ts'
import type { Database } from '../database/database.ts'
import { createSignIn } from '../identity/sign-in/create-sign-in.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createLogger } from '../lib/logger.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { PUBLIC_URL, REPO, testApp } from './_test-app.ts'

const KEY = Buffer.from('0123456789abcdef0123456789ABCDEF')

/** All that the tables hold, as text; bytes as they are. */
async function dump(db: Database): Promise<Map<string, Buffer>> {
  const tables = await db.introspection.getTables()
  const places = new Map<string, Buffer>()
  for (const { name } of tables) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(
      db,
    )
    const values = rows.flatMap((row) => Object.values(row))
    const parts = values.map((value) =>
      value instanceof Uint8Array
        ? Buffer.from(value)
        : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value ?? null)),
    )
    places.set(`table ${name}`, Buffer.concat(parts.flatMap((part) => [part, Buffer.from('\n')])))
  }
  return places
}

describeOnBothEngines('credentials at rest', (open) => {
  it('none is found in a table, a log line or the OpenAPI document', async () => {
    await using database = await open()
    const { db } = database
    const lines: string[] = []
    const log = createLogger({ level: 'debug', write: (line) => lines.push(line) })
    const keyring = createKeyring([{ id: 'k1', bytes: new Uint8Array(KEY) }])
    const config = { publicBaseUrl: PUBLIC_URL, sessionDays: 7 }
    const signIn = await createSignIn({ db, clock: systemClock, newId, keyring, log, config })
    using test = testApp(db, { log, keyring, signIn })
    const operator = async (method: string, path: string, body?: unknown) => {
      const response = await test.request(method, path, { body })
      assert.ok(response.ok, `${method} ${path} answered ${response.status}`)
      return (await response.json()) as Record<string, unknown>
    }
    const newBrowser = () =>
      createBrowser(async (method, path, headers, body) => {
        const response = await test.request(method, path, { token: null, headers, body })
        const setCookies = response.headers.getSetCookie()
        return { status: response.status, setCookies, text: await response.text() }
      }, PUBLIC_URL)
    const { url } = await operator('GET', '/api/instance/setup-link')
    const around = { newBrowser, operator, setupToken: tokenOf(url), repository: REPO }
    const credentials = await useEveryCredential(around)
    credentials.set('encryption key', KEY.toString())

    const places = await dump(db)
    places.set('log', Buffer.from(lines.join('\n')))
    const openApi = await operator('GET', '/api/openapi.json')
    places.set('OpenAPI document', Buffer.from(JSON.stringify(openApi)))
    assert.deepEqual(findLeaks(credentials, places), [])

    const known = new Map([['address', 'ada@example.com']])
    const found = findLeaks(known, places).map(({ place }) => place)
    assert.ok(found.includes('table users'), 'what is kept in the clear is found')
    assert.ok(lines.length > 20, 'requests are logged')
    assert.ok(places.size > 20, 'the tables were read')
  })
})

describe('findLeaks()', () => {
  it('finds a credential in whatever way it is written down', () => {
    const secret = 'p"ä/+ss wörd\\%41'
    const written = [
      secret,
      JSON.stringify({ secret }),
      JSON.stringify({ nested: JSON.stringify({ secret }) }),
      encodeURIComponent(secret),
      new URLSearchParams({ secret }).toString(),
      Buffer.from(secret).toString('hex'),
      Buffer.from(secret).toString('hex').toUpperCase(),
      ...['', 'u', 'us', 'user:'].map((user) => Buffer.from(user + secret).toString('base64')),
      ...['', 'u', 'us', 'user:'].map((user) => Buffer.from(user + secret).toString('base64url')),
    ]
    for (const text of written) {
      const places = new Map([['log', Buffer.from(`before ${text} after`)]])
      const leaks = findLeaks(new Map([['password', secret]]), places)
      assert.ok(leaks.length > 0, text)
    }
    const innocent = new Map([['log', Buffer.from('nothing of the kind')]])
    assert.deepEqual(findLeaks(new Map([['password', secret]]), innocent), [])
  })
})
