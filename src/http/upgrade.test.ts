import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { it } from 'node:test'

import { sql } from 'kysely'

import { describeOnBothEngines, type TestDatabase } from '../../test/_databases.ts'
import { migrateDown, migrateToLatest } from '../database/migrate.ts'
import { toIsoTime } from '../lib/clock.ts'
import { REPO, testApp } from './_test-app.ts'

/** Back to the schema of the release that knew one organization, no people and no audit. */
async function goBack({ db }: TestDatabase): Promise<void> {
  for (;;) {
    const [undone] = await migrateDown(db)
    assert.ok(undone)
    if (undone.startsWith('0003')) return
  }
}

describeOnBothEngines('going to another release', (open) => {
  it('keeps the tokens and projects of the release before people', async () => {
    await using database = await open()
    const { db } = database
    {
      using test = testApp(db)
      const body = { name: 'shop', ...REPO }
      assert.equal((await test.request('POST', '/api/projects', { body })).status, 201)
    }
    await goBack(database)
    const token = `nsk_${'x'.repeat(43)}`
    const hash = createHash('sha256').update(token).digest('hex')
    await sql`insert into api_tokens (id, organization_id, name, token_hash, hint, created_at)
      values ('t1', 'org-default', 'ci', ${hash}, 'xxxx', '2026-01-01T00:00:00.000Z')`.execute(db)
    await migrateToLatest(db)
    using test = testApp(db)
    const projects = await test.request('GET', '/api/projects', { token })
    const { items } = (await projects.json()) as { items: { name: string }[] }
    assert.deepEqual(
      items.map(({ name }) => name),
      ['shop'],
    )
    const body = { name: 'made after the upgrade' }
    assert.equal((await test.request('POST', '/api/tokens', { token, body })).status, 201)
    const link = await test.request('GET', '/api/instance/setup-link')
    assert.match(await link.text(), /\/setup#token=/)
  })

  it('goes back with people in it, and leaves no token that may more than before', async () => {
    await using database = await open()
    const { db } = database
    const kept = await fill(database)
    await goBack(database)
    const { rows } = await sql<{ id: string }>`select id from api_tokens`.execute(db)
    assert.deepEqual(
      rows.map(({ id }) => id),
      [kept],
    )
    const projects = await sql`select id from projects`.execute(db)
    assert.equal(projects.rows.length, 1)
    await migrateToLatest(db)
  })
})

/** A bit of everything. Returns the id of the operator's token for everything. */
async function fill({ db }: TestDatabase): Promise<string> {
  using test = testApp(db)
  const owner = await test.as('owner')
  const made = await owner('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
  const { id } = (await made.json()) as { id: string }
  await test.as('member', { reach: [id] })
  const tokenOf = async (ask: typeof owner | typeof test.request, body: object) => {
    const response = await ask('POST', '/api/tokens', { body: { name: 'ci', ...body } })
    assert.equal(response.status, 201)
    return (await response.json()) as { id: string; token: string }
  }
  const all = await tokenOf(test.request, {})
  await tokenOf(test.request, { scopes: ['projects:read'] })
  const { token } = await tokenOf(owner, { scopes: ['tokens:write'] })
  const child = await test.request('POST', '/api/tokens', { token, body: { name: 'child' } })
  assert.equal(child.status, 201)
  const body = { email: 'ada@example.com', role: 'viewer' }
  const invited = await owner('POST', '/api/organizations/org-default/invitations', { body })
  assert.equal(invited.status, 201)
  await db
    .updateTable('organizations')
    .set({ created_by_user_id: owner.userId, setup_completed_at: toIsoTime(0) })
    .execute()
  return all.id
}
