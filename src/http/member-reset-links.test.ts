import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { organizationRoutes } from '../contract/organization-routes.ts'
import { appWithSignIn, invite, refusal } from './_invitations.ts'
import { addOrganization, PUBLIC_URL } from './_test-app.ts'

describeOnBothEngines('members.resetLink', (open) => {
  const MEMBERS = '/api/organizations/org-default/members'

  it('makes a link that ends when the account comes to open another organization', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test } = scene
    await addOrganization(database.db, 'org-other')
    const owner = await test.as('owner', { organizationId: 'org-other' })
    const member = await test.as('member', { organizationId: 'org-other' })
    const path = `/api/organizations/org-other/members/${member.userId}/reset-link`
    const made = await (await owner('POST', path)).json()
    const link = organizationRoutes['members.resetLink'].response.parse(made)
    const invitation = await invite(test, { email: member.email, role: 'admin' })
    const accepted = await member('POST', '/api/invitations/accept', {
      body: { token: invitation.token },
    })
    assert.equal(accepted.status, 200, await accepted.clone().text())
    const reset = await test.request('POST', '/api/auth/reset-password', {
      token: null,
      headers: { origin: PUBLIC_URL },
      body: { token: link.url.split('#token=')[1], newPassword: 'staple battery horse' },
    })
    assert.equal((await refusal(reset, 422)).code, 'auth.invalid_link')
  })

  it('makes a link that works once, and no new one for who belongs elsewhere too', async () => {
    await using database = await open()
    using scene = await appWithSignIn(database.db)
    const { test } = scene
    const owner = await test.as('owner')
    const member = await test.as('member')
    const path = `${MEMBERS}/${member.userId}/reset-link`
    const response = await owner('POST', path)
    assert.equal(response.status, 201, await response.clone().text())
    const link = organizationRoutes['members.resetLink'].response.parse(await response.json())
    assert.equal(link.mail_works, false)
    assert.match(link.url, /\/reset-password#token=/)
    const event = await database.db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'password.reset_link_created')
      .executeTakeFirstOrThrow()
    assert.equal(event.target_id, member.userId)
    const token = link.url.split('#token=')[1] ?? ''
    assert.ok(!JSON.stringify(event).includes(token))
    await addOrganization(database.db, 'org-other')
    const theirs = await test.as('owner', { organizationId: 'org-other' })
    await database.db
      .updateTable('organization_members')
      .set({ user_id: member.userId })
      .where('user_id', '=', theirs.userId)
      .execute()
    assert.equal((await refusal(await owner('POST', path), 409)).code, 'member.belongs_elsewhere')
    assert.equal((await test.request('POST', path)).status, 201)
    const admin = await test.as('admin')
    assert.equal((await admin('POST', path)).status, 403)
  })
})
