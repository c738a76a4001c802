import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { systemClock } from '../../lib/clock.ts'
import { newId } from '../../lib/ids.ts'
import { readMembership } from '../memberships.ts'
import { createResetLink } from '../sign-in/passwords.ts'
import {
  acme,
  ada,
  applyMessage,
  clerkDeps,
  iso,
  membership,
  readClerkState,
  rolesOf,
  T0,
  tell,
  userOf,
} from './_clerk-state.ts'

const actionsOf = async (db: Database) =>
  (await db.selectFrom('audit_events').select('action').orderBy('id').execute()).map(
    ({ action }) => action,
  )

describeOnBothEngines('applyClerkEvent()', (open) => {
  it('takes a membership before its person and organization, who are filled in later', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'organizationMembership.created', 5, membership('1', 'org:member'))
    const before = await readClerkState(db)
    assert.deepEqual(
      before.users.map(({ name }) => name),
      ['Pending'],
    )
    assert.deepEqual(
      before.organizations.map(({ name, slug }) => [name, slug]),
      [['Pending', 'pending']],
    )
    await tell(db, 'user.created', 1, ada('Ada'))
    await tell(db, 'organization.created', 2, acme())
    const { users, organizations, members } = await readClerkState(db)
    assert.deepEqual(
      users.map(({ name }) => name),
      ['Ada'],
    )
    assert.deepEqual(
      organizations.map(({ name, slug }) => [name, slug]),
      [['Acme', 'acme']],
    )
    assert.deepEqual(
      members.map(({ role, clerk_membership_id: id }) => [role, id]),
      [['member', 'orgmem_1']],
    )
  })

  it('ends links to choose a password that an owner elsewhere made for who joins', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'user.created', 1, ada('Ada'))
    await tell(db, 'organization.created', 2, acme())
    const user = await userOf(db, 'user_Ada')
    const config = { publicBaseUrl: 'https://nanoscale.example.com' }
    const deps = { db, clock: systemClock, newId, config }
    await createResetLink(deps, user.id, { endsSecondFactor: true })
    await tell(db, 'organizationMembership.created', 5, membership('1', 'org:member'))
    assert.deepEqual(await db.selectFrom('verifications').selectAll().execute(), [])
  })

  it('says of a message once that it is a duplicate, and of an older one that it is stale', async () => {
    await using database = await open()
    const { db } = database
    const deps = clerkDeps(db)
    const message = (id: string, at: number, name: string) => ({
      id,
      body: { object: 'event', type: 'user.updated', timestamp: T0 + at, data: ada(name) },
    })
    assert.equal(await applyMessage(deps, message('msg_b', 7, 'New')), 'applied')
    assert.equal(await applyMessage(deps, message('msg_b', 9, 'Replayed')), 'duplicate')
    assert.equal(await applyMessage(deps, message('msg_a', 7, 'Same time, smaller id')), 'stale')
    assert.equal(await applyMessage(deps, message('msg_z', 6, 'Older')), 'stale')
    assert.equal(await applyMessage(deps, message('msg_c', 7, 'Same time, larger id')), 'applied')
    const { users } = await readClerkState(db)
    assert.deepEqual(
      users.map(({ name }) => name),
      ['Same time, larger id'],
    )
  })

  it('leaves a tombstone where the deletion comes first', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'user.deleted', 9, { id: 'user_Ada', deleted: true })
    await tell(db, 'organizationMembership.created', 3, membership('1', 'org:admin'))
    await tell(db, 'user.created', 1, ada('Ada'))
    await tell(db, 'organization.created', 2, acme())
    const { users, members } = await readClerkState(db)
    assert.deepEqual(
      users.map(({ name, deleted_at }) => [name, deleted_at]),
      [['Deleted person', iso(9)]],
    )
    assert.deepEqual(members, [])
    await tell(db, 'user.created', 10, ada('Ada again'))
    assert.deepEqual(await rolesOf(db), [['user_Ada', 'owner']])
  })

  it('maps roles, viewer for what nobody mapped; who made the organization owns it as an admin', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'organization.created', 1, acme())
    await tell(db, 'organizationMembership.created', 2, membership('1', 'org:admin'))
    await tell(db, 'organizationMembership.created', 2, membership('2', 'org:admin', 'user_Bo'))
    await tell(db, 'organizationMembership.created', 2, membership('3', 'toString', 'user_Cy'))
    assert.deepEqual(await rolesOf(db), [
      ['user_Ada', 'owner'],
      ['user_Bo', 'admin'],
      ['user_Cy', 'viewer'],
    ])
    await tell(db, 'organizationMembership.updated', 3, membership('1', 'org:member'))
    assert.deepEqual((await rolesOf(db))[0], ['user_Ada', 'member'])
    assert.ok((await actionsOf(db)).includes('member.updated'))
  })

  it('follows whoever left and joined again, although the leaving is told last', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'organizationMembership.created', 1, membership('old', 'org:member'))
    await tell(db, 'organizationMembership.created', 5, membership('new', 'org:admin'))
    await tell(db, 'organizationMembership.deleted', 4, membership('old', 'org:member'))
    const { members } = await readClerkState(db)
    assert.deepEqual(
      members.map(({ role, clerk_membership_id: id }) => [role, id]),
      [['admin', 'orgmem_new']],
    )
    await tell(db, 'organizationMembership.deleted', 6, { id: 'orgmem_new', deleted: true })
    assert.deepEqual((await readClerkState(db)).members, [])
  })

  it('closes a deleted organization: nobody has access; opens it when it is made again', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'user.created', 1, ada('Ada'))
    await tell(db, 'organization.created', 1, acme())
    await tell(db, 'organizationMembership.created', 2, membership('1', 'org:admin'))
    const { id } = await userOf(db, 'user_Ada')
    assert.equal((await readMembership(db, id, { slug: 'acme' }))?.role, 'owner')
    await tell(db, 'organization.deleted', 3, { id: 'org_Acme', deleted: true })
    const closed = (await readClerkState(db)).organizations
    assert.deepEqual(
      closed.map(({ name, slug, closed_at }) => [name, slug, closed_at]),
      [['Acme', 'acme', iso(3)]],
    )
    assert.equal(await readMembership(db, id, { slug: 'acme' }), null)
    assert.deepEqual((await readClerkState(db)).members, [])
    await tell(db, 'organization.created', 4, acme({ name: 'Acme II', slug: 'acme-2' }))
    assert.equal((await readMembership(db, id, { slug: 'acme' }))?.role, 'owner')
    const actions = await actionsOf(db)
    for (const action of ['organization.closed', 'organization.reopened', 'member.removed']) {
      assert.ok(actions.includes(action), action)
    }
  })

  it('keeps closed what was closed here, whatever Clerk goes on to say', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'organization.created', 1, acme())
    await db
      .updateTable('organizations')
      .set({ closed_at: iso(2) })
      .where('clerk_org_id', '=', 'org_Acme')
      .execute()
    await tell(db, 'organization.updated', 3, acme({ name: 'Renamed' }))
    const { organizations } = await readClerkState(db)
    assert.deepEqual(
      organizations.map(({ name, closed_at }) => [name, closed_at]),
      [['Renamed', iso(2)]],
    )
  })

  it('gives two organizations that want one slug two, and never changes one', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'organization.created', 1, acme({ slug: 'default' }))
    await tell(db, 'organization.created', 2, { ...acme({ slug: 'Über Uns!' }), id: 'org_B' })
    await tell(db, 'organization.updated', 3, acme({ slug: 'other' }))
    const slugs = await db
      .selectFrom('organizations')
      .select('slug')
      .where('clerk_org_id', 'is not', null)
      .orderBy('clerk_org_id')
      .execute()
    assert.match(slugs[0]?.slug ?? '', /^default-[0-9a-f]{5}$/)
    assert.equal(slugs[1]?.slug, 'uber-uns')
  })

  it('ends the sessions of whom Clerk deletes or bans, and lets the unbanned in again', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'user.created', 1, ada('Ada'))
    const { id } = await userOf(db, 'user_Ada')
    const session = async () => {
      await db
        .insertInto('sessions')
        .values({
          id: newId(),
          user_id: id,
          token: newId(),
          expires_at: iso(1),
          created_at: iso(0),
          updated_at: iso(0),
        })
        .execute()
    }
    const sessions = async () => (await db.selectFrom('sessions').select('id').execute()).length
    await session()
    await tell(db, 'user.updated', 2, { ...ada('Ada'), banned: true })
    assert.equal(await sessions(), 0)
    assert.equal((await userOf(db, 'user_Ada')).deleted_at, iso(2))
    await tell(db, 'user.updated', 3, { ...ada('Ada'), banned: false })
    assert.equal((await userOf(db, 'user_Ada')).deleted_at, null)
    await session()
    await tell(db, 'user.deleted', 4, { id: 'user_Ada', deleted: true })
    assert.equal(await sessions(), 0)
  })
})
