import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createTestClock } from '../../test/_deployments.ts'
import { addApp, addHook, addLinkedProject, SECRET } from './_test-hooks.ts'
import { openInbox, pushOf, signatureOf } from './_test-inbox.ts'

describeOnBothEngines('receiveDelivery()', (open) => {
  it('W-02 acknowledges a push after it is stored, and has the project look once', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    const projectId = await addLinkedProject(db)
    await using inbox = await openInbox(db)
    const answer = await inbox.post(pushOf())
    assert.equal(answer.status, 202)
    assert.equal(answer.body['status'], 'accepted')
    const row = await db.selectFrom('webhook_deliveries').selectAll().executeTakeFirstOrThrow()
    assert.equal(row.id, answer.body['id'])
    assert.equal(row.body_bytes, pushOf().length)
    assert.equal(row.body_sealed?.includes('refs'), false)
    await inbox.settled()
    const push = { before: 'a'.repeat(40), after: 'b'.repeat(40) }
    assert.deepEqual(inbox.looks, [{ projectId, push }])
  })

  it('takes deliveries of the App of the environment at its own address', async () => {
    await using database = await open()
    await addApp(database.db, { organizationId: null })
    await addApp(database.db, { id: 'integration-2', publicId: 'other' })
    await using inbox = await openInbox(database.db)
    const path = '/api/environment'
    assert.equal((await inbox.post(pushOf(), { path })).status, 202)
    assert.equal((await inbox.post(pushOf(), { path, secret: 'x' })).status, 401)
  })

  it('W-03 W-05 W-06 W-08 refuses whatever the secret did not sign, and says nothing in the log', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await addHook(db, { publicId: 'empty', kind: 'repository', repositoryId: 1, secret: '' })
    await using inbox = await openInbox(db)
    const body = '{"a":1.0}'
    const refused = [
      { signature: null },
      { signature: signatureOf('{"a":1}') },
      { signature: signatureOf(body).toUpperCase() },
      { signature: null, headers: { 'x-hub-signature': 'sha1=0123' } },
      { path: '/hooks/empty', secret: '' },
      { path: '/hooks/empty', signature: null },
      { secret: 'other' },
      // W-29: Gitea sends GitHub's headers too, signed with the secret of its own hook.
      { secret: 'gitea', headers: { 'x-gitea-event': 'push', 'x-gitea-delivery': 'x' } },
    ]
    for (const options of refused) {
      const answer = await inbox.post(body, options)
      assert.equal(answer.status, 401, JSON.stringify(options))
    }
    assert.equal((await inbox.post(body)).status, 202)
    assert.equal(inbox.lines.filter((line) => line.includes('error')).length, 0)
  })

  it('W-18 answers for an unknown hook as for a wrong signature, and counts both by the minute', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    const inbox = await openInbox(db, { clock: createTestClock() })
    const wrong = await inbox.post(pushOf(), { secret: 'x' })
    const unknown = await inbox.post(pushOf(), { path: '/hooks/unknown', secret: 'x' })
    await inbox.post(pushOf(), { path: '/hooks/unknown2', secret: SECRET })
    assert.deepEqual([unknown.status, unknown.body], [wrong.status, wrong.body])
    assert.deepEqual([...unknown.headers.keys()], [...wrong.headers.keys()])
    await inbox[Symbol.asyncDispose]()
    const rows = await db.selectFrom('webhook_rejections').selectAll().execute()
    const hook = await db.selectFrom('hooks').select('id').executeTakeFirstOrThrow()
    const counted = Object.fromEntries(rows.map(({ hook_key, amount }) => [hook_key, amount]))
    assert.deepEqual(counted, { unknown: 2, [hook.id]: 1 })
  })

  it('W-01 W-13 notes what is no JSON object, and answers 400', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db)
    for (const body of ['Hello, World!', 'null', '[]', '"x"', '0', '{"a":']) {
      const answer = await inbox.post(body)
      assert.deepEqual([answer.status, answer.body['code']], [400, 'webhook.malformed'], body)
    }
    const answer = await inbox.post('')
    assert.equal(answer.status, 400)
    const rows = await database.db.selectFrom('webhook_deliveries').selectAll().execute()
    assert.equal(rows.length, 7)
    for (const { state, reason } of rows)
      assert.deepEqual([state, reason], ['ignored', 'malformed'])
    assert.equal((await inbox.post(pushOf())).status, 202)
  })

  it('W-16 W-17 W-37 answers by method, type, encoding and headers before the body', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db)
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const answer = await inbox.post('{}', { method })
      assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST'], method)
    }
    const form = 'application/x-www-form-urlencoded'
    const cases: [number, Record<string, string>][] = [
      [415, { 'content-type': form }],
      [415, { 'content-type': '' }],
      [415, { 'content-encoding': 'gzip' }],
      [415, { 'content-encoding': 'identity' }],
      [400, { 'x-github-event': '' }],
      [400, { 'x-github-event': 'Push it' }],
      [400, { 'x-github-delivery': '' }],
      [400, { 'x-github-delivery': 'a'.repeat(101) }],
      [202, { 'content-type': 'Application/JSON; charset=utf-8' }],
    ]
    for (const [status, headers] of cases) {
      const answer = await inbox.post(pushOf(), { headers })
      assert.equal(answer.status, status, JSON.stringify(headers))
    }
  })

  it('W-19 stores one of a hundred equal deliveries at once, and looks once', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    const guid = 'c5d5c4f0-0000-11ee-8c99-0242ac120002'
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => inbox.post(pushOf(), { guid })),
    )
    for (const { status } of answers) assert.ok(status === 202 || status === 200)
    assert.equal(new Set(answers.map(({ body }) => body['id'])).size, 1)
    await inbox.settled()
    assert.equal(inbox.looks.length, 1)
    const late = await inbox.post(pushOf(), { guid })
    assert.deepEqual([late.status, late.body['status']], [200, 'duplicate'])
    assert.equal(inbox.looks.length, 1)
  })

  it('W-21 works again on a delivery that failed here', async () => {
    await using database = await open()
    const clock = createTestClock()
    await addApp(database.db)
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db, { clock })
    inbox.onLook = () => Promise.reject(new Error('the host is away'))
    await inbox.post(pushOf(), { guid: 'one' })
    await inbox.settled()
    await database.db
      .updateTable('webhook_deliveries')
      .set({ state: 'failed', next_attempt_at: null })
      .execute()
    inbox.onLook = () => Promise.resolve({ kind: 'unchanged', head: 'b'.repeat(40) })
    const answer = await inbox.post(pushOf(), { guid: 'one' })
    assert.equal(answer.status, 202)
    await inbox.settled()
    const row = await database.db
      .selectFrom('webhook_deliveries')
      .selectAll()
      .executeTakeFirstOrThrow()
    assert.deepEqual([row.state, row.error_message, row.handled], ['processed', null, true])
  })

  it('W-22 handles another body under a known id, and says so', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await addLinkedProject(db)
    await using inbox = await openInbox(db)
    assert.equal((await inbox.post(pushOf(), { guid: 'same' })).status, 202)
    const other = pushOf({ after: 'c'.repeat(40) })
    const second = await inbox.post(other, { guid: 'same' })
    assert.equal(second.status, 202)
    assert.equal((await inbox.post(other, { guid: 'same' })).body['id'], second.body['id'])
    await inbox.settled()
    assert.equal(inbox.looks.length, 2)
    const rows = await db.selectFrom('webhook_deliveries').select('facts').orderBy('id').execute()
    assert.deepEqual(
      rows.map(({ facts }) => facts.guid_conflict),
      [false, true],
    )
    const events = await db.selectFrom('audit_events').select(['action', 'details']).execute()
    const found = events.find(({ action }) => action === 'delivery.suspicious')
    assert.equal(found?.details['reason'], 'guid_conflict')
  })

  it('W-24 keeps ids of deliveries apart by hook', async () => {
    await using database = await open()
    await addApp(database.db)
    await addApp(database.db, { id: 'integration-2', publicId: 'theirs' })
    await using inbox = await openInbox(database.db)
    const one = await inbox.post(pushOf(), { guid: 'same' })
    const other = await inbox.post(pushOf(), { guid: 'same', path: '/hooks/theirs' })
    assert.deepEqual([one.status, other.status], [202, 202])
    assert.notEqual(one.body['id'], other.body['id'])
  })

  it('W-35 accepts the secret of before until its time', async () => {
    await using database = await open()
    const { db } = database
    const clock = createTestClock()
    await addApp(db)
    await addHook(db, {
      publicId: 'rotated',
      kind: 'repository',
      repositoryId: 1,
      previous: { secret: 'old', until: new Date(clock.now() + 60_000).toISOString() },
    })
    await using inbox = await openInbox(db, { clock })
    const path = '/hooks/rotated'
    assert.equal((await inbox.post(pushOf(), { path, secret: 'old' })).status, 202)
    assert.equal((await inbox.post(pushOf(), { path })).status, 202)
    await clock.advance(61_000)
    assert.equal((await inbox.post(pushOf(), { path, secret: 'old' })).status, 401)
    assert.equal((await inbox.post(pushOf(), { path })).status, 202)
    const rows = await db.selectFrom('webhook_deliveries').select('facts').orderBy('id').execute()
    assert.deepEqual(
      rows.map(({ facts }) => facts.signed_with),
      ['previous', 'current', 'current'],
    )
  })

  it('W-36 limits who fails, but not who signs', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db, { clock: createTestClock() })
    const statuses = []
    for (let sent = 0; sent < 32; sent += 1) {
      statuses.push((await inbox.post('{}', { secret: 'x' })).status)
    }
    assert.deepEqual(statuses.slice(28), [401, 401, 429, 429])
    const large = await inbox.post('x'.repeat(300_000), { secret: 'x' })
    assert.deepEqual([large.status, large.headers.get('retry-after')], [429, '60'])
    assert.equal((await inbox.post(pushOf())).status, 202)
  })

  it('W-36 counts made-up hooks of one address as one', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db, { clock: createTestClock() })
    for (let sent = 0; sent < 30; sent += 1) {
      assert.equal((await inbox.post('{}', { path: `/hooks/made-up-${sent}` })).status, 401)
    }
    const large = 'x'.repeat(300_000)
    assert.equal((await inbox.post(large, { path: '/hooks/another', secret: 'x' })).status, 429)
    assert.equal((await inbox.post(large, { secret: 'x' })).status, 401)
  })

  it('W-34 answers 503 while the database is away, never 2xx', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await using inbox = await openInbox(db)
    await db.schema.alterTable('webhook_deliveries').renameTo('elsewhere').execute()
    const away = await inbox.post(pushOf(), { guid: 'one' })
    assert.deepEqual([away.status, away.headers.get('retry-after')], [503, '10'])
    await db.schema.alterTable('hooks').renameTo('hooks_elsewhere').execute()
    assert.equal((await inbox.post(pushOf(), { guid: 'one' })).status, 503)
    await db.schema.alterTable('hooks_elsewhere').renameTo('hooks').execute()
    await db.schema.alterTable('elsewhere').renameTo('webhook_deliveries').execute()
    assert.equal((await inbox.post(pushOf(), { guid: 'one' })).status, 202)
  })

  it('W-09 reads escapes, duplicate keys and a last newline as JSON does', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db, { branch: 'é' })
    await using inbox = await openInbox(database.db)
    const body = `${pushOf({ ref: 'X' }).slice(0, -1)},"ref":"refs/heads/\\u00e9"}\n`
    assert.equal((await inbox.post(body)).status, 202)
    await inbox.settled()
    assert.equal(inbox.looks.length, 1)
    const large = pushOf().replace('1296269', '9007199254740993')
    assert.equal((await inbox.post(large)).status, 202)
    await inbox.settled()
    assert.equal(inbox.looks.length, 1)
    const rows = await database.db
      .selectFrom('webhook_deliveries')
      .select('reason')
      .orderBy('id')
      .execute()
    assert.equal(rows[1]?.reason, 'id_too_large')
  })
})
