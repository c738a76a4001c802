import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { organizationRoutes } from '../contract/organization-routes.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { appWithSignIn, DAY_MS, invite, PASSWORD, refusal } from './_invitations.ts'
import { PUBLIC_URL, REPO } from './_test-app.ts'

describeOnBothEngines('invitations.accept', (open) => {
  it('makes an account with exactly the invited address, and signs it in', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test } = scene
    const project = await test.request('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
    const { id } = (await project.json()) as { id: string }
    const { token } = await invite(test, {
      email: 'Ada@example.com',
      role: 'member',
      project_access: 'selected',
      project_ids: [id],
    })
    const seen = await (await scene.read(token)).json()
    const { expires_at: _, ...facts } = seen as Record<string, unknown>
    assert.deepEqual(facts, {
      organization: 'Default',
      role: 'member',
      email: 'ada@example.com',
      account_exists: false,
    })
    const missing = await refusal(await scene.accept({ token }), 422)
    assert.deepEqual(Object.keys(missing.details ?? {}), ['name', 'password'])
    await refusal(await scene.accept({ token, name: 'Ada', password: 'short' }), 422)
    await refusal(await scene.accept({ token, name: 'A\u001bda', password: PASSWORD }), 422)
    await refusal(
      await scene.accept({ token, name: 'Ada', password: PASSWORD, email: 'eve@example.com' }),
      422,
    )
    const response = await scene.accept({ token, name: 'Ada', password: PASSWORD })
    const accepted = organizationRoutes['invitations.accept'].response.parse(await response.json())
    assert.equal(accepted.organization.slug, 'default')
    const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const me = await test.request('GET', '/api/me', { token: null, headers: { cookie } })
    const { user, role } = (await me.json()) as { user: { email: string }; role: string }
    assert.equal(user.email, 'ada@example.com')
    assert.equal(role, 'member')
    const list = await test.request('GET', '/api/projects', { token: null, headers: { cookie } })
    assert.equal(((await list.json()) as { items: unknown[] }).items.length, 1)
    const signedIn = await test.request('POST', '/api/auth/sign-in/email', {
      token: null,
      body: { email: 'ada@example.com', password: PASSWORD },
      headers: { origin: PUBLIC_URL },
    })
    assert.equal(signedIn.status, 200, await signedIn.clone().text())
  })

  it('A-06 counts only while who invited is an owner, whoever took that role', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const owner = await scene.test.as('owner')
    const body = { email: 'ada@example.com', role: 'owner' }
    const made = await owner('POST', '/api/organizations/org-default/invitations', { body })
    const { url } = (await made.json()) as { url: string }
    const token = url.split('#token=')[1] ?? ''
    assert.equal((await scene.read(token)).status, 200)
    // As Clerk does, without a look at invitations.
    await database.db.updateTable('organization_members').set({ role: 'admin' }).execute()
    await refusal(await scene.read(token), 404)
    await refusal(await scene.accept({ token, name: 'Ada', password: PASSWORD }), 404)
    await database.db.updateTable('organization_members').set({ role: 'owner' }).execute()
    await database.db
      .updateTable('users')
      .set({ deleted_at: toIsoTime(0) })
      .execute()
    await refusal(await scene.read(token), 404)
  })

  it('A-06 takes a token once, also when it is used twice at the same moment', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { token } = await invite(scene.test, { email: 'ada@example.com', role: 'member' })
    const body = { token, name: 'Ada', password: PASSWORD }
    const answers = await Promise.all([1, 2, 3].map(() => scene.accept(body)))
    const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b)
    assert.deepEqual(statuses, [200, 404, 404])
    await refusal(await scene.accept(body), 404)
    const members = await database.db.selectFrom('organization_members').selectAll().execute()
    assert.equal(members.length, 1)
    assert.equal((await database.db.selectFrom('sessions').selectAll().execute()).length, 1)
    assert.equal((await database.db.selectFrom('users').selectAll().execute()).length, 1)
  })

  it('A-06 is for the invited person alone', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test } = scene
    const ada = await test.as(null)
    const eve = await test.as(null)
    const known = await invite(test, { email: ada.email, role: 'owner' })
    const unknown = await invite(test, { email: 'new@example.com', role: 'owner' })
    const newPerson = { name: 'Eve', password: PASSWORD }
    for (const [token, cookie] of [
      [known.token, eve.cookie],
      [unknown.token, eve.cookie],
      [known.token, ''],
    ] as const) {
      const headers = cookie === '' ? {} : { cookie }
      const answer = await refusal(await scene.accept({ token, ...newPerson }, headers), 403)
      assert.equal(answer.code, 'invitation.other_person')
    }
    const foreignOrigin = { cookie: ada.cookie, origin: 'https://evil.example' }
    assert.equal((await scene.accept({ token: known.token }, foreignOrigin)).status, 403)
    assert.equal((await scene.accept({ token: known.token }, { cookie: ada.cookie })).status, 200)
    const me = (await (await ada('GET', '/api/me')).json()) as { role: string }
    assert.equal(me.role, 'owner')
    const joined = await database.db
      .selectFrom('audit_events')
      .select(['actor_id', 'target_id'])
      .where('action', '=', 'member.joined')
      .execute()
    assert.deepEqual(joined, [{ actor_id: ada.userId, target_id: ada.userId }])
  })

  it('refuses one that expired, whose organization was closed, or that never was', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test, accept, read, pass } = scene
    const person = { name: 'Ada', password: PASSWORD }
    const { token } = await invite(test, { email: 'ada@example.com', role: 'member' })
    pass(7 * DAY_MS - 60_000)
    assert.equal((await read(token)).status, 200)
    pass(61_000)
    const expired = await refusal(await accept({ token, ...person }), 404)
    const unknown = await refusal(await accept({ token: 'a'.repeat(43), ...person }), 404)
    assert.deepEqual(expired, unknown)
    assert.equal((await read(token)).status, 404)
    const again = await invite(test, { email: 'ada@example.com', role: 'member' })
    await database.db
      .updateTable('organizations')
      .set({ closed_at: '2026-01-01T00:00:00.000Z' })
      .execute()
    assert.deepEqual(await refusal(await accept({ token: again.token, ...person }), 404), unknown)
    assert.deepEqual(await database.db.selectFrom('users').selectAll().execute(), [])
  })

  it('gives access to nothing when all the named projects are gone', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test } = scene
    const ids = []
    for (const name of ['shop', 'blog']) {
      const made = await test.request('POST', '/api/projects', { body: { name, ...REPO } })
      ids.push(((await made.json()) as { id: string }).id)
    }
    const ada = await test.as(null)
    const { token } = await invite(test, {
      email: ada.email,
      role: 'member',
      project_access: 'selected',
      project_ids: ids.slice(0, 1),
    })
    assert.equal((await test.request('DELETE', `/api/projects/${ids[0]}`)).status, 202)
    assert.equal((await scene.accept({ token }, { cookie: ada.cookie })).status, 200)
    const list = (await (await ada('GET', '/api/projects')).json()) as { items: unknown[] }
    assert.deepEqual(list.items, [])
    assert.equal((await ada('GET', `/api/projects/${ids[1]}`)).status, 404)
  })

  it('lets at most 1,000 members in', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const now = toIsoTime(systemClock.now())
    const userIds = Array.from({ length: 1000 }, () => newId())
    for (let from = 0; from < userIds.length; from += 100) {
      const batch = userIds.slice(from, from + 100)
      await database.db
        .insertInto('users')
        .values(
          batch.map((id) => ({
            id,
            email: `${id}@example.com`,
            name: 'x',
            email_verified: false,
            two_factor_enabled: false,
            created_at: now,
            updated_at: now,
          })),
        )
        .execute()
      await database.db
        .insertInto('organization_members')
        .values(
          batch.map((user_id) => ({
            id: newId(),
            organization_id: 'org-default',
            user_id,
            role: 'viewer' as const,
            project_access: 'all' as const,
            clerk_membership_id: null,
            joined_at: now,
            updated_at: now,
          })),
        )
        .execute()
    }
    const ada = await scene.test.as(null)
    const { token } = await invite(scene.test, { email: ada.email, role: 'member' })
    const answer = await refusal(await scene.accept({ token }, { cookie: ada.cookie }), 409)
    assert.equal(answer.code, 'member.too_many')
  })
})
