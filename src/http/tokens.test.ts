import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { tokenRoutes } from '../contract/token-routes.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { refusal } from './_invitations.ts'
import { addOrganization, testApp, type SendOptions, type TestApp } from './_test-app.ts'

const TOKENS = '/api/tokens'
const DAY_MS = 86_400_000

type Ask = (method: string, path: string, options?: SendOptions) => Promise<Response>

async function make(ask: Ask, body: object) {
  const response = await ask('POST', TOKENS, { body: { name: 'ci', ...body } })
  assert.equal(response.status, 201, await response.clone().text())
  return tokenRoutes['tokens.create'].response.parse(await response.json())
}

async function names(ask: Ask, query = ''): Promise<string[]> {
  const response = await ask('GET', `${TOKENS}${query}`)
  assert.equal(response.status, 200, await response.clone().text())
  const { items } = tokenRoutes['tokens.list'].response.parse(await response.json())
  return items.map((item) => item.name)
}

/** Asks with a token over the network. */
function bearer(test: TestApp, token: string): Ask {
  return (method, path, options = {}) => test.request(method, path, { ...options, token })
}

describeOnBothEngines('tokens.create', (open) => {
  it('shows the token once and stores its hash', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const member = await test.as('member')
    const made = await make(member, { expires_in_days: 30, scopes: ['projects:read'] })
    assert.match(made.token, /^nsk_[\w-]{43}$/)
    assert.equal(made.hint, made.token.slice(-4))
    assert.deepEqual(made.scopes, ['projects:read'])
    assert.deepEqual(made.created_by, { id: member.userId, name: 'A member' })
    const left = Date.parse(made.expires_at ?? '') - Date.parse(made.created_at)
    assert.equal(left, 30 * DAY_MS)
    const stored = [
      ...(await database.db.selectFrom('api_tokens').selectAll().execute()),
      ...(await database.db.selectFrom('audit_events').selectAll().execute()),
    ]
    assert.equal(stored.length, 2)
    assert.ok(!JSON.stringify(stored).includes(made.token))
    assert.ok(!(await (await member('GET', TOKENS)).text()).includes(made.token))
    assert.ok(!test.lines.join('\n').includes(made.token))
  })

  it('may what its maker may at the time of use, and no more than its scopes', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const admin = await test.as('admin')
    const all = bearer(test, (await make(admin, {})).token)
    const reading = bearer(test, (await make(admin, { scopes: ['projects:read'] })).token)
    assert.equal((await all('GET', '/api/instance')).status, 200)
    assert.equal((await reading('GET', '/api/projects')).status, 200)
    assert.equal((await reading('GET', '/api/instance')).status, 403)
    const path = `/api/organizations/org-default/members/${admin.userId}`
    assert.equal((await owner('PATCH', path, { body: { role: 'viewer' } })).status, 200)
    assert.equal((await all('GET', '/api/instance')).status, 403)
    assert.equal((await all('GET', '/api/projects')).status, 200)
  })

  it('ends when it expires', async () => {
    await using database = await open()
    let ahead = 0
    const clock = { ...systemClock, now: () => systemClock.now() + ahead }
    using test = testApp(database.db, { clock })
    const { token } = await make(test.request, { expires_in_days: 1 })
    const ask = bearer(test, token)
    ahead = DAY_MS - 60_000
    assert.equal((await ask('GET', '/api/projects')).status, 200)
    const { items } = tokenRoutes['tokens.list'].response.parse(
      await (await ask('GET', TOKENS)).json(),
    )
    assert.equal(Date.parse(items[0]?.last_used_at ?? '') > systemClock.now(), true)
    ahead = DAY_MS + 60_000
    assert.equal((await ask('GET', '/api/projects')).status, 401)
  })

  it('ends with the account of its maker', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const admin = await test.as('admin')
    const ask = bearer(test, (await make(admin, {})).token)
    assert.equal((await ask('GET', '/api/projects')).status, 200)
    await database.db
      .updateTable('users')
      .set({ deleted_at: '2026-01-01T00:00:00.000Z' })
      .where('id', '=', admin.userId)
      .execute()
    assert.equal((await ask('GET', '/api/projects')).status, 401)
  })

  it('gives no more scopes and no longer life than the token that asks', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const scopes = ['tokens:write', 'projects:read']
    const parent = await make(owner, { name: 'parent', scopes, expires_in_days: 10 })
    const ask = bearer(test, parent.token)
    const child = await make(ask, { name: 'child' })
    assert.deepEqual(child.scopes, scopes)
    assert.equal(child.expires_at, parent.expires_at)
    assert.equal(child.created_by?.id, owner.userId)
    const narrow = await make(ask, { scopes: ['projects:read'], expires_in_days: 9 })
    assert.deepEqual(narrow.scopes, ['projects:read'])
    for (const [field, body] of [
      ['scopes', { scopes: ['*'] }],
      ['scopes', { scopes: ['projects:read', 'projects:write'] }],
      ['expires_in_days', { expires_in_days: 11 }],
      ['expires_in_days', { expires_in_days: null }],
    ] as const) {
      const response = await ask('POST', TOKENS, { body: { name: 'more', ...body } })
      const answer = await refusal(response, 422)
      assert.equal(answer.code, 'token.exceeds_maker')
      assert.deepEqual(Object.keys(answer.details ?? {}), [field])
    }
    const reading = bearer(test, narrow.token)
    assert.equal((await reading('POST', TOKENS, { body: { name: 'x' } })).status, 403)
  })

  it('A-04 refuses unknown scopes and fields that are not offered, naming them', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const wrong = { body: { name: 'x', scopes: ['everything'] } }
    assert.match(JSON.stringify(await refusal(await owner('POST', TOKENS, wrong), 422)), /scopes/)
    for (const field of ['organization_id', 'created_by_user_id', 'token_hash', 'id', 'role']) {
      const options = { body: { name: 'x', [field]: 'x' } }
      const { details } = await refusal(await owner('POST', TOKENS, options), 422)
      assert.deepEqual(Object.keys(details ?? {}), [field])
    }
  })

  it('keeps 100 valid ones of one maker, apart from those of others', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const member = await test.as('member')
    const now = toIsoTime(systemClock.now())
    await database.db
      .insertInto('api_tokens')
      .values(
        Array.from({ length: 100 }, (_, index) => ({
          id: newId(),
          organization_id: 'org-default',
          name: `t${index}`,
          token_hash: `hash-${index}`,
          hint: 'abcd',
          created_at: now,
          expires_at: null,
          last_used_at: null,
          revoked_at: null,
          created_by_user_id: member.userId,
          scopes: ['*'],
        })),
      )
      .execute()
    const answer = await refusal(await member('POST', TOKENS, { body: { name: 'x' } }), 409)
    assert.equal(answer.code, 'token.too_many')
    const owner = await test.as('owner')
    await make(owner, {})
    await database.db
      .updateTable('api_tokens')
      .set({ expires_at: now })
      .where('name', '=', 't7')
      .execute()
    await make(member, {})
  })
})

describeOnBothEngines('tokens.list', (open) => {
  it('shows owners everything, and everybody else their own', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const theirs = await test.as('owner', { organizationId: 'org-other' })
    await make(theirs, { name: 'theirs' })
    const owner = await test.as('owner')
    const admin = await test.as('admin')
    await make(owner, { name: 'of owner' })
    await make(admin, { name: 'of admin' })
    await make(test.request, { name: 'of operator' })
    assert.deepEqual(await names(owner), ['of owner', 'of admin', 'of operator'])
    assert.deepEqual(await names(owner, '?mine=true'), ['of owner'])
    assert.deepEqual(await names(admin), ['of admin'])
    assert.deepEqual(await names(test.request, '?mine=true'), ['of operator'])
    assert.deepEqual(await names(owner, '?limit=2'), ['of owner', 'of admin'])
  })
})

describeOnBothEngines('tokens.revoke', (open) => {
  it('A-02 finds tokens of others for owners alone, and tells it once', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const theirs = await test.as('owner', { organizationId: 'org-other' })
    const owner = await test.as('owner')
    const admin = await test.as('admin')
    const foreign = await make(theirs, {})
    const ofOwner = await make(owner, {})
    const ofAdmin = await make(admin, {})
    const answers = []
    for (const id of [foreign.id, ofOwner.id, 'unknown-id']) {
      const response = await admin('DELETE', `${TOKENS}/${id}`)
      assert.equal(response.status, 404)
      answers.push((await response.text()).replaceAll(id, 'ID'))
    }
    assert.equal(new Set(answers).size, 1)
    assert.equal((await owner('DELETE', `${TOKENS}/${ofAdmin.id}`)).status, 204)
    assert.equal((await admin('DELETE', `${TOKENS}/${ofAdmin.id}`)).status, 204)
    assert.equal((await bearer(test, ofAdmin.token)('GET', '/api/projects')).status, 401)
    assert.equal((await bearer(test, ofOwner.token)('GET', '/api/projects')).status, 200)
    const events = await database.db
      .selectFrom('audit_events')
      .select(['actor_id', 'target_id'])
      .where('action', '=', 'token.revoked')
      .execute()
    assert.deepEqual(events, [{ actor_id: owner.userId, target_id: ofAdmin.id }])
  })

  it('takes those along that were made by it, and no others', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const owner = await test.as('owner')
    const stolen = await make(owner, { name: 'stolen' })
    const child = await make(bearer(test, stolen.token), { name: 'child' })
    const grandchild = await make(bearer(test, child.token), { name: 'grandchild' })
    const other = await make(owner, { name: 'other' })
    assert.equal((await owner('DELETE', `${TOKENS}/${stolen.id}`)).status, 204)
    for (const { token } of [stolen, child, grandchild]) {
      assert.equal((await bearer(test, token)('GET', '/api/projects')).status, 401)
    }
    assert.equal((await bearer(test, other.token)('GET', '/api/projects')).status, 200)
    const events = await database.db
      .selectFrom('audit_events')
      .select(['target_id', 'details'])
      .where('action', '=', 'token.revoked')
      .orderBy('id')
      .execute()
    assert.deepEqual(events, [
      { target_id: stolen.id, details: {} },
      { target_id: child.id, details: { made_by_token: stolen.id } },
      { target_id: grandchild.id, details: { made_by_token: child.id } },
    ])
  })
})
