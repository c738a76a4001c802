import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { organizationRoutes } from '../contract/organization-routes.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import type { MailMessage } from '../mail/create-mailer.ts'
import { appWithSignIn, DAY_MS, INVITATIONS, invite, PASSWORD, refusal } from './_invitations.ts'
import { addOrganization, REPO, testApp } from './_test-app.ts'

describeOnBothEngines('invitations.create', (open) => {
  it('gives the link when there is no mail server, and stores no token', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const made = await invite(test, { email: 'Ada@Example.com', role: 'member' })
    assert.equal(made.email, 'ada@example.com')
    assert.equal(made.sent, false)
    assert.match(made.url ?? '', /^https:\/\/nanoscale\.example\.com\/accept-invitation#token=/)
    assert.equal(Date.parse(made.expires_at) - Date.parse(made.created_at), 7 * DAY_MS)
    const rows = await database.db.selectFrom('invitations').selectAll().execute()
    const events = await database.db.selectFrom('audit_events').selectAll().execute()
    assert.equal(events.length, 1)
    const [row] = rows
    const stored = JSON.stringify([rows, events])
    assert.ok(!stored.includes(made.token))
    assert.ok(!JSON.stringify(events).includes(row?.token_hash ?? ''))
    assert.ok(!test.lines.join('\n').includes(made.token))
  })

  it('mails the link and does not show it then', async () => {
    await using database = await open()
    const mails: MailMessage[] = []
    const send = (message: MailMessage) => {
      mails.push(message)
      return Promise.resolve()
    }
    using test = testApp(database.db, { mailer: { configured: true, send } })
    const owner = await test.as('owner')
    const body = { email: 'ada@example.com', role: 'viewer' }
    const response = await owner('POST', INVITATIONS, { body })
    const made = organizationRoutes['invitations.create'].response.parse(await response.json())
    assert.equal(made.sent, true)
    assert.equal(made.url, null)
    assert.equal(made.invited_by, 'A owner')
    const [mail] = mails
    assert.equal(mail?.to, 'ada@example.com')
    assert.match(mail?.text ?? '', /accept-invitation#token=[\w-]{43}\n/)
  })

  it('shows the link when the mail was not taken', async () => {
    await using database = await open()
    const send = () => Promise.reject(new OperationError('mail.failed', 'Cannot send mail'))
    using test = testApp(database.db, { mailer: { configured: true, send } })
    const made = await invite(test, { email: 'ada@example.com', role: 'viewer' })
    assert.equal(made.sent, false)
    assert.equal(made.token.length, 43)
  })

  it('replaces the open invitation of the same address', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const first = await invite(scene.test, { email: 'ada@example.com', role: 'owner' })
    const second = await invite(scene.test, { email: 'ADA@example.com', role: 'viewer' })
    assert.equal((await scene.read(first.token)).status, 404)
    const seen = (await (await scene.read(second.token)).json()) as { role: string }
    assert.equal(seen.role, 'viewer')
    const list = await scene.test.request('GET', INVITATIONS)
    const { items } = (await list.json()) as { items: { id: string }[] }
    assert.deepEqual(
      items.map((item) => item.id),
      [second.id],
    )
  })

  it('leaves one open invitation when an address is invited twice at the same moment', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const body = { email: 'ada@example.com', role: 'viewer' }
    const answers = await Promise.all(
      [1, 2, 3].map(() => test.request('POST', INVITATIONS, { body })),
    )
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [201, 201, 201],
    )
    const openOnes = await database.db
      .selectFrom('invitations')
      .select('id')
      .where('revoked_at', 'is', null)
      .execute()
    assert.equal(openOnes.length, 1)
  })

  it('refuses members, unreachable addresses, foreign projects and fields that are not offered', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const headers = { 'x-nanoscale-organization': 'org-other' }
    const body = { name: 'shop', ...REPO }
    const foreign = await test.request('POST', '/api/projects', { body, headers })
    const { id } = (await foreign.json()) as { id: string }
    const owner = await test.as('owner')
    const ask = (given: object) =>
      owner('POST', INVITATIONS, { body: { email: 'ada@example.com', role: 'member', ...given } })
    assert.equal(
      (await refusal(await ask({ email: owner.email.toUpperCase() }), 409)).code,
      'invitation.already_member',
    )
    for (const email of ['user_1@clerk.invalid', 'ada', 'a@b@c.de', 'ada@example.com\nbcc: x']) {
      await refusal(await ask({ email }), 422)
    }
    for (const project of [id, 'unknown-id']) {
      const given = { project_access: 'selected', project_ids: [project] }
      const { details } = await refusal(await ask(given), 422)
      assert.deepEqual(Object.keys(details ?? {}), ['project_ids'])
    }
    for (const field of ['organization_id', 'id', 'token_hash', 'expires_at', 'accepted_at']) {
      const { details } = await refusal(await ask({ [field]: 'x' }), 422)
      assert.deepEqual(Object.keys(details ?? {}), [field])
    }
    assert.deepEqual(await database.db.selectFrom('invitations').selectAll().execute(), [])
  })

  it('is refused while apps are not isolated', async () => {
    await using database = await open()
    using plain = testApp(database.db)
    const instance = { ...plain.app.instance, isolation: () => Promise.resolve('none' as const) }
    using scene = await appWithSignIn(database.db, { instance })
    const body = { email: 'ada@example.com', role: 'member' }
    const answer = await refusal(await scene.test.request('POST', INVITATIONS, { body }), 409)
    assert.equal(answer.code, 'organization.unisolated')
    assert.match(answer.error, /NANOSCALE_ALLOW_UNISOLATED/)
    const { token } = await invite(plain, body)
    const accepted = await scene.accept({ token, name: 'Ada', password: PASSWORD })
    assert.equal((await refusal(accepted, 409)).code, 'organization.unisolated')
  })

  it('invites an address five times a day, and whoever else besides', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const body = { email: 'ada@example.com', role: 'member' }
    for (let times = 0; times < 5; times += 1) await invite(scene.test, body)
    const answer = await refusal(await scene.test.request('POST', INVITATIONS, { body }), 409)
    assert.equal(answer.code, 'invitation.too_often')
    await invite(scene.test, { ...body, email: 'grace@example.com' })
    scene.pass(DAY_MS + 60_000)
    await invite(scene.test, body)
  })

  it('has at most 200 open ones in an organization', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const now = systemClock.now()
    await database.db
      .insertInto('invitations')
      .values(
        Array.from({ length: 200 }, (_, index) => ({
          id: newId(),
          organization_id: 'org-default',
          email: `person-${index}@example.com`,
          role: 'viewer' as const,
          project_access: 'all' as const,
          project_ids: [],
          token_hash: `hash-${index}`,
          invited_by_user_id: null,
          created_at: toIsoTime(now),
          expires_at: toIsoTime(now + DAY_MS),
          accepted_at: null,
          accepted_by_user_id: null,
          revoked_at: null,
        })),
      )
      .execute()
    const body = { email: 'ada@example.com', role: 'member' }
    const answer = await refusal(await test.request('POST', INVITATIONS, { body }), 409)
    assert.equal(answer.code, 'invitation.too_many')
    const again = { email: 'person-7@example.com', role: 'member' }
    assert.equal((await test.request('POST', INVITATIONS, { body: again })).status, 201)
  })
})

describeOnBothEngines('invitations.revoke', (open) => {
  it('A-02 finds none of another organization, and takes an own one back', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test } = scene
    await addOrganization(database.db, 'org-other')
    const made = await invite(test, { email: 'ada@example.com', role: 'member' })
    const theirs = await test.as('owner', { organizationId: 'org-other' })
    const answers = []
    for (const id of [made.id, 'unknown-id']) {
      const response = await theirs('DELETE', `/api/organizations/org-other/invitations/${id}`)
      assert.equal(response.status, 404)
      answers.push((await response.text()).replaceAll(id, 'ID'))
    }
    assert.equal(answers[0], answers[1])
    const owner = await test.as('owner')
    assert.equal((await owner('DELETE', `${INVITATIONS}/${made.id}`)).status, 204)
    assert.equal((await owner('DELETE', `${INVITATIONS}/${made.id}`)).status, 404)
    assert.equal((await scene.read(made.token)).status, 404)
    const admin = await test.as('admin')
    assert.equal((await admin('GET', INVITATIONS)).status, 403)
  })
})
