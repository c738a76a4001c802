import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { createClerkWebhook } from '../identity/clerk/receive-clerk-message.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createLogger } from '../lib/logger.ts'
import { Secret } from '../lib/secret.ts'
import { testApp } from './_test-app.ts'

const KEY = Buffer.alloc(24, 5)
const OLD_KEY = Buffer.alloc(24, 6)
const SECRET = [KEY, OLD_KEY].map((key) => `whsec_${key.toString('base64')}`).join(',')
const PATH = '/api/identity/clerk/webhook'

const USER = { id: 'user_Ada', first_name: 'Ada', last_name: 'Lovelace' }
const event = (type: string, data: unknown) =>
  JSON.stringify({ object: 'event', type, timestamp: Date.now(), data })

function signed(body: string, options: { id?: string; key?: Uint8Array } = {}) {
  const { id = 'msg_1', key = KEY } = options
  const seconds = String(Math.floor(Date.now() / 1000))
  const digest = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  return {
    body,
    token: null,
    headers: { 'svix-id': id, 'svix-timestamp': seconds, 'svix-signature': `v1,${digest}` },
  }
}

function configured(db: Database) {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', write: (line) => lines.push(line) })
  const config = { clerkWebhookSecret: new Secret(SECRET), clerkIssuer: null, clerkRoles: {} }
  const clerkWebhook = createClerkWebhook({ db, clock: systemClock, newId, log, config })
  return { ...testApp(db, { clerkWebhook }), lines }
}

describeOnBothEngines('POST /api/identity/clerk/webhook', (open) => {
  it('is not there unless it is configured', async () => {
    await using database = await open()
    using app = testApp(database.db)
    const response = await app.request('POST', PATH, signed(event('user.created', USER)))
    assert.equal(response.status, 404)
  })

  it('takes a message once, signed with either key, and tells what became of it', async () => {
    await using database = await open()
    using app = configured(database.db)
    const post = async (sent: ReturnType<typeof signed>) => {
      const response = await app.request('POST', PATH, sent)
      assert.equal(response.status, 200)
      return await response.json()
    }
    const created = signed(event('user.created', USER))
    assert.deepEqual(await post(created), { status: 'applied', reason: null })
    assert.deepEqual(await post(created), { status: 'duplicate', reason: null })
    const other = signed(event('user.updated', { ...USER, first_name: 'Bo' }), {
      id: 'msg_2',
      key: OLD_KEY,
    })
    assert.deepEqual(await post(other), { status: 'applied', reason: null })
    const ignored = signed(event('session.created', {}), { id: 'msg_3' })
    const reason = '"session.created" is of no concern here'
    assert.deepEqual(await post(ignored), { status: 'ignored', reason })
    const users = await database.db.selectFrom('users').select('name').execute()
    assert.deepEqual(users, [{ name: 'Bo Lovelace' }])
    const [audited] = await database.db
      .selectFrom('audit_events')
      .select(['actor_kind', 'actor_name', 'request_id'])
      .where('action', '=', 'clerk.synchronized')
      .execute()
    assert.equal(audited?.actor_kind, 'provider')
    assert.equal(audited.actor_name, 'Clerk')
    assert.notEqual(audited.request_id, null)
  })

  it('W-05 answers every wrong signature alike, and stores nothing', async () => {
    await using database = await open()
    using app = configured(database.db)
    const right = signed(event('user.created', USER))
    const wrong = [
      { ...right, body: `${right.body} ` },
      { ...right, headers: { ...right.headers, 'svix-signature': 'v1,' } },
      { ...right, headers: { ...right.headers, 'svix-timestamp': '1' } },
      { ...right, headers: {} },
      { ...right, body: '' },
      signed(right.body, { key: Buffer.alloc(24) }),
    ]
    const answers = new Set<string>()
    for (const sent of wrong) {
      const response = await app.request('POST', PATH, sent)
      assert.equal(response.status, 401)
      answers.add(await response.text())
    }
    assert.equal(answers.size, 1)
    assert.deepEqual(await database.db.selectFrom('clerk_messages').selectAll().execute(), [])
    assert.ok(app.lines.some((line) => line.includes('no signature matches')))
  })

  it('refuses what is malformed, and logs the field without its value', async () => {
    await using database = await open()
    using app = configured(database.db)
    const malformed = event('user.created', { ...USER, id: 'not-an-id-of-clerk' })
    const response = await app.request('POST', PATH, signed(malformed))
    assert.equal(response.status, 400)
    const { code, error } = (await response.json()) as { code: string; error: string }
    assert.equal(code, 'clerk.malformed')
    assert.match(error, /^Cannot read this message: id: /)
    const line = app.lines.find((text) => text.includes('malformed')) ?? ''
    assert.match(line, /msg_1/)
    assert.doesNotMatch(line, /not-an-id-of-clerk/)
    assert.equal((await app.request('POST', PATH, signed('{'))).status, 400)
  })

  it('answers 413 to a body over 1 MiB', async () => {
    await using database = await open()
    using app = configured(database.db)
    const response = await app.request('POST', PATH, signed('x'.repeat(1_048_577)))
    assert.equal(response.status, 413)
  })

  it('fails when the database does, so that Clerk sends it again, and succeeds then', async () => {
    await using database = await open()
    using app = configured(database.db)
    const message = signed(event('user.created', USER))
    await database.db.schema.alterTable('clerk_records').renameTo('clerk_records_away').execute()
    assert.equal((await app.request('POST', PATH, message)).status, 500)
    await database.db.schema.alterTable('clerk_records_away').renameTo('clerk_records').execute()
    const response = await app.request('POST', PATH, message)
    assert.deepEqual(await response.json(), { status: 'applied', reason: null })
  })
})
