import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Actor } from '../audit/actor.ts'
import { createApiToken } from '../identity/api-tokens.ts'
import { permitResetLink, removeMember, updateMember } from '../identity/change-members.ts'
import { closeOrganization, renameOrganization } from '../identity/change-organization.ts'
import { createInvitation } from '../identity/invitations.ts'
import { createProject } from '../projects/create-project.ts'
import { addOrganization, REPO, testApp, type TestApp } from './_test-app.ts'

const ORGANIZATION = 'org-other'
const REFUSED = { code: 'member.role_lost' }

function userActor(userId: string): Actor {
  return { kind: 'user', id: userId, name: 'eve', address: null, requestId: null }
}

/** What somebody does who was let in while they had their role. */
function attempts({ app }: TestApp, of: { by: Actor; userId: string; victim: string }) {
  const { by, userId, victim } = of
  const member = { organizationId: ORGANIZATION, userId: victim }
  const invitation = { email: 'a@example.com', projectAccess: 'all', projectIds: [] } as const
  const invited = { ...invitation, role: 'owner', invitedByUserId: userId, by } as const
  return {
    asOwner: [
      () => updateMember(app, member, { change: { role: 'viewer' }, by }),
      () => removeMember(app, member, by),
      () => permitResetLink(app, member, { byOperator: false, by }),
      () => createInvitation(app, ORGANIZATION, invited),
      () => renameOrganization(app, ORGANIZATION, { name: 'Mine', by }),
      () => closeOrganization(app, ORGANIZATION, by),
    ],
    asMember: [
      () => createProject(app, ORGANIZATION, { name: 'shop', ...REPO }, by),
      () => createApiToken(app, ORGANIZATION, { name: 'x', maker: { userId, token: null, by } }),
    ],
  }
}

describeOnBothEngines('a role that was lost after its owner was let in', (open) => {
  it('changes nothing that would outlive it', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, ORGANIZATION)
    const in_ = { organizationId: ORGANIZATION }
    const [eve, victim] = [await test.as('owner', in_), await test.as('owner', in_)]
    const { token } = (await (
      await eve('POST', '/api/tokens', {
        body: { name: 'ci' },
        headers: { 'x-nanoscale-organization': ORGANIZATION },
      })
    ).json()) as { token: string }
    assert.match(token, /^nsk_/)
    const row = await database.db.selectFrom('api_tokens').select('id').executeTakeFirstOrThrow()
    const byToken: Actor = { ...userActor(''), kind: 'token', id: row.id }
    const who = { userId: eve.userId, victim: victim.userId }
    const tries = [
      attempts(test, { ...who, by: userActor(eve.userId) }),
      attempts(test, { ...who, by: byToken }),
    ]
    const setRole = (role: 'member') =>
      database.db
        .updateTable('organization_members')
        .set({ role })
        .where('user_id', '=', eve.userId)
        .execute()
    await setRole('member')
    for (const attempt of tries.flatMap(({ asOwner }) => asOwner)) {
      await assert.rejects(attempt(), REFUSED)
    }
    await database.db.deleteFrom('organization_members').where('user_id', '=', eve.userId).execute()
    for (const attempt of tries.flatMap(({ asMember }) => asMember)) {
      await assert.rejects(attempt(), REFUSED)
    }
    const { db } = database
    assert.deepEqual(await db.selectFrom('invitations').select('id').execute(), [])
    assert.deepEqual(await db.selectFrom('projects').select('id').execute(), [])
    assert.equal((await db.selectFrom('api_tokens').select('id').execute()).length, 1)
  })

  it('creates no project in an organization that was closed meanwhile', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, ORGANIZATION)
    const owner = await test.as('owner', { organizationId: ORGANIZATION })
    const by = userActor(owner.userId)
    await closeOrganization(test.app, ORGANIZATION, by)
    const made = createProject(test.app, ORGANIZATION, { name: 'shop', ...REPO }, by)
    await assert.rejects(made, REFUSED)
  })

  it('is not needed to leave', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await test.as('owner')
    const viewer = await test.as('viewer')
    const path = '/api/organizations/org-default/membership'
    assert.equal((await viewer('DELETE', path)).status, 204)
  })

  it('leaves nothing open behind when owners end one another at the same moment', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    const owners = [await test.as('owner'), await test.as('owner'), await test.as('owner')]
    const path = '/api/organizations/org-default'
    const asked = owners.flatMap((owner, index) => {
      const other = `${path}/members/${owners[(index + 1) % owners.length]?.userId ?? ''}`
      const invited = { email: `ada${index}@example.com`, role: 'owner' }
      return [
        owner('PATCH', other, { body: { role: 'viewer' } }),
        owner('DELETE', other),
        owner('DELETE', `${path}/membership`),
        owner('POST', `${path}/invitations`, { body: invited }),
        owner('POST', '/api/tokens', { body: { name: 'ci' } }),
      ]
    })
    for (const answer of await Promise.all(asked)) assert.ok(answer.status < 500)
    const members = await db
      .selectFrom('organization_members')
      .select(['user_id', 'role'])
      .execute()
    const left = members.filter(({ role }) => role === 'owner').map(({ user_id }) => user_id)
    assert.ok(left.length > 0)
    const invitations = await db
      .selectFrom('invitations')
      .select('invited_by_user_id as by')
      .where('revoked_at', 'is', null)
      .execute()
    const tokens = await db
      .selectFrom('api_tokens')
      .select('created_by_user_id as by')
      .where('revoked_at', 'is', null)
      .execute()
    assert.ok(invitations.every(({ by }) => left.includes(by ?? '')))
    assert.ok(tokens.every(({ by }) => members.some(({ user_id }) => user_id === by)))
  })
})
