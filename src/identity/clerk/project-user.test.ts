import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { newId } from '../../lib/ids.ts'
import {
  acme,
  ada,
  applyMessage,
  clerkDeps,
  CLERK_ISSUER,
  iso,
  membership,
  readClerkState,
  rolesOf,
  T0,
  tell,
  userOf,
} from './_clerk-state.ts'
import { addMissingClerkAccounts } from './clerk-accounts.ts'
import { syntheticEmail } from './project-user.ts'

async function addUser(db: Database, id: string, more: Record<string, unknown> = {}) {
  const user = {
    id,
    clerk_user_id: null,
    email: `${id}@example.com`,
    name: id,
    email_verified: true,
    two_factor_enabled: false,
    created_at: iso(0),
    updated_at: iso(0),
  }
  await db
    .insertInto('users')
    .values({ ...user, ...more })
    .execute()
}

async function addAccount(db: Database, userId: string, provider: string, account: string) {
  const account_ = { id: newId(), user_id: userId, provider_id: provider, account_id: account }
  await db
    .insertInto('accounts')
    .values({ ...account_, created_at: iso(0), updated_at: iso(0) })
    .execute()
}

describeOnBothEngines('people whom Clerk feeds', (open) => {
  it('have addresses that no mail reaches and that never meet, and an account at the issuer', async () => {
    await using database = await open()
    const { db } = database
    await addUser(db, 'squatter', { email: syntheticEmail('user_ab') })
    for (const id of ['user_ab', 'user_aB', 'user_Ab']) {
      await tell(db, 'user.created', 1, { ...ada('X'), id })
    }
    assert.equal((await userOf(db, 'user_aB')).email, 'user_a-b@clerk.invalid')
    assert.equal((await userOf(db, 'user_Ab')).email, 'user_-ab@clerk.invalid')
    assert.match((await userOf(db, 'user_ab')).email, /^[0-9a-f-]{36}@clerk\.invalid$/)
    assert.deepEqual(await subjects(db), ['user_Ab', 'user_aB', 'user_ab'])
  })

  it('are never matched with somebody of the same address', async () => {
    await using database = await open()
    const { db } = database
    await addUser(db, 'local', { email: 'ada@example.com' })
    const address = { id: 'idn_1', email_address: 'ada@example.com' }
    await tell(db, 'user.created', 1, {
      ...ada('Ada'),
      primary_email_address_id: 'idn_1',
      email_addresses: [address],
    })
    const user = await userOf(db, 'user_Ada')
    assert.notEqual(user.id, 'local')
    assert.equal(user.clerk_primary_email, 'ada@example.com')
  })

  it('are those who signed in with Clerk before; a password lets them stay when Clerk deletes them', async () => {
    await using database = await open()
    const { db } = database
    await addUser(db, 'local', { email: 'local@example.com' })
    await addAccount(db, 'local', CLERK_ISSUER, 'user_Ada')
    await addAccount(db, 'local', 'credential', 'local')
    await tell(db, 'organization.created', 1, acme({ created_by: null }))
    await tell(db, 'organizationMembership.created', 1, membership('1', 'org:member'))
    await tell(db, 'user.created', 1, ada('Ada'))
    assert.deepEqual(await rolesOf(db), [['user_Ada', 'member']])
    const user = await userOf(db, 'user_Ada')
    assert.deepEqual([user.id, user.email, user.name], ['local', 'local@example.com', 'Ada'])
    await tell(db, 'user.deleted', 2, { id: 'user_Ada', deleted: true })
    const rows = await db
      .selectFrom('users')
      .select(['id', 'clerk_user_id', 'deleted_at'])
      .execute()
    assert.deepEqual(rows, [{ id: 'local', clerk_user_id: null, deleted_at: null }])
    assert.deepEqual((await readClerkState(db)).members, [])
    assert.deepEqual(await subjects(db), [])
  })

  it('leave local members of an organization alone', async () => {
    await using database = await open()
    const { db } = database
    await tell(db, 'user.created', 1, ada('Ada'))
    await tell(db, 'organization.created', 1, acme())
    const { id } = await userOf(db, 'user_Ada')
    const organization = await db
      .selectFrom('organizations')
      .select('id')
      .where('clerk_org_id', '=', 'org_Acme')
      .executeTakeFirstOrThrow()
    const member = { organization_id: organization.id, user_id: id, role: 'viewer' as const }
    const joined = { project_access: 'all' as const, joined_at: iso(0), updated_at: iso(0) }
    await db
      .insertInto('organization_members')
      .values({ id: newId(), ...member, ...joined, clerk_membership_id: null })
      .execute()
    await tell(db, 'organizationMembership.created', 2, membership('1', 'org:admin'))
    assert.deepEqual(await rolesOf(db), [['user_Ada', 'viewer']])
    await tell(db, 'organizationMembership.deleted', 3, membership('1', 'org:admin'))
    assert.deepEqual(await rolesOf(db), [['user_Ada', 'viewer']])
  })

  it('get their account at the issuer when it is configured later', async () => {
    await using database = await open()
    const { db } = database
    const deps = clerkDeps(db)
    const unconfigured = { ...deps, config: { ...deps.config, clerkIssuer: null } }
    const body = { object: 'event', type: 'user.created', timestamp: T0, data: ada('Ada') }
    await applyMessage(unconfigured, { id: 'msg_first', body })
    assert.deepEqual(await subjects(db), [])
    await addMissingClerkAccounts(unconfigured)
    assert.deepEqual(await subjects(db), [])
    await addMissingClerkAccounts(deps)
    await addMissingClerkAccounts(deps)
    assert.deepEqual(await subjects(db), ['user_Ada'])
  })
})

async function subjects(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('accounts')
    .select('account_id')
    .where('provider_id', '=', CLERK_ISSUER)
    .orderBy('account_id')
    .execute()
  return rows.map((row) => row.account_id)
}
