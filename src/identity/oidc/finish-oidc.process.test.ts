import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { authenticateSession } from '../sign-in/sessions.ts'
import { BY, oidcScene } from './_scene.ts'
import type { OidcEnd } from './finish-oidc.ts'
import type { OidcError } from './oidc-errors.ts'

const ADA = 'ada@example.com'

const refusal = (error: OidcError, whileLinking = false): OidcEnd => ({
  kind: 'refused',
  whileLinking,
  error,
})

const countOf = async (db: Database, table: 'sessions' | 'users' | 'accounts') =>
  (await db.selectFrom(table).select('id').execute()).length

const actionsIn = async (db: Database) =>
  (await db.selectFrom('audit_events').select('action').orderBy('id').execute()).map(
    ({ action }) => action,
  )

describeOnBothEngines('finishOidc()', (open) => {
  it('signs in whom issuer and subject name, with a new session each time', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const { issuer } = scene.provider
    const userId = await scene.addPerson(ADA, { issuer, subject: 'subject-1' })
    const end = await scene.signIn({ returnTo: '/projects/1?tab=logs' })
    assert.equal(end.kind, 'signed_in')
    assert.ok(end.kind === 'signed_in')
    assert.equal(end.returnTo, '/projects/1?tab=logs')
    assert.match(end.cookie, /^__Host-nanoscale\.session=.*HttpOnly; Secure; SameSite=Lax$/)
    const session = await authenticateSession(scene.deps, end.cookie.split(';')[0])
    assert.equal(session?.userId, userId)
    const again = await scene.signIn()
    assert.ok(again.kind === 'signed_in')
    assert.notEqual(again.cookie, end.cookie)
    const event = await db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'sign_in.succeeded')
      .orderBy('id')
      .executeTakeFirstOrThrow()
    assert.equal(event.actor_id, userId)
    assert.equal(event.target_id, userId)
    assert.equal(event.actor_name, ADA)
    assert.equal(event.address, BY.address)
    assert.deepEqual(event.details, { method: 'oidc', issuer })
  })

  it('A-05 ends the session that the browser had before', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    const { issuer } = scene.provider
    const before = await scene.addSession(await scene.addPerson('bob@example.com'))
    await scene.addPerson(ADA, { issuer, subject: 'subject-1' })
    assert.equal((await scene.end(await scene.begin(), before)).kind, 'signed_in')
    const sessions = await database.db.selectFrom('sessions').select('id').execute()
    assert.equal(sessions.length, 1)
    assert.notEqual(sessions[0]?.id, before.sessionId)
  })

  it('never finds a person by e-mail address, verified and equal as it may be', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    await scene.addPerson(ADA)
    scene.provider.faults = { claims: (all) => ({ ...all, email: ADA, email_verified: true }) }
    assert.deepEqual(await scene.signIn(), refusal('oidc_unknown_person'))
    assert.equal(await countOf(db, 'sessions'), 0)
    assert.equal(await countOf(db, 'accounts'), 0)
  })

  it('knows nobody by the same subject at another issuer', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    await scene.addPerson(ADA, { issuer: 'https://id.example.com', subject: 'subject-1' })
    assert.deepEqual(await scene.signIn(), refusal('oidc_unknown_person'))
    scene.provider.faults = { claims: (all) => ({ ...all, iss: 'https://id.example.com' }) }
    assert.deepEqual(await scene.signIn(), refusal('oidc_invalid'))
  })

  it('lets no deleted person in, and records that they tried', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const { issuer } = scene.provider
    const id = await scene.addPerson(ADA, { issuer, subject: 'subject-1' })
    const deleted_at = '2026-01-01T00:00:00.000Z'
    await db.updateTable('users').set({ deleted_at }).where('id', '=', id).execute()
    assert.deepEqual(await scene.signIn(), refusal('oidc_unknown_person'))
    assert.equal(await countOf(db, 'sessions'), 0)
    assert.equal((await actionsIn(db)).at(-1), 'sign_in.failed')
  })

  it('signs in people of Clerk by the identity that Clerk gave them', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const subject = 'user_2abc'
    const { issuer } = scene.provider
    const userId = await scene.addPerson(`${subject}@clerk.invalid`, { issuer, subject })
    await db
      .updateTable('users')
      .set({ clerk_user_id: subject, clerk_primary_email: ADA })
      .where('id', '=', userId)
      .execute()
    scene.provider.subject = subject
    const end = await scene.signIn()
    assert.ok(end.kind === 'signed_in')
    const session = await authenticateSession(scene.deps, end.cookie.split(';')[0])
    assert.equal(session?.userId, userId)
  })

  it('makes the invited person, member and linked, when they come with their invitation', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const invitationToken = await scene.invite(ADA)
    const end = await scene.signIn({ invitationToken })
    assert.equal(end.kind, 'signed_in')
    const person = await db.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    assert.equal(person.email, ADA)
    assert.equal(person.name, 'Name of subject-1')
    const account = await db.selectFrom('accounts').selectAll().executeTakeFirstOrThrow()
    assert.equal(account.provider_id, scene.provider.issuer)
    assert.equal(account.account_id, 'subject-1')
    for (const token of ['password', 'access_token', 'refresh_token', 'id_token'] as const) {
      assert.equal(account[token], null)
    }
    const member = await db.selectFrom('organization_members').selectAll().executeTakeFirstOrThrow()
    assert.equal(member.user_id, person.id)
    assert.equal(member.role, 'member')
    assert.deepEqual(await actionsIn(db), [
      'invitation.created',
      'member.joined',
      'identity.linked',
      'sign_in.succeeded',
    ])
    assert.equal((await scene.signIn()).kind, 'signed_in')
  })

  it('A-06 makes nobody by an invitation that was used, or that is none', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const invitationToken = await scene.invite(ADA)
    await scene.signIn({ invitationToken })
    scene.provider.subject = 'subject-2'
    const refused = refusal('oidc_invitation_invalid')
    assert.deepEqual(await scene.signIn({ invitationToken }), refused)
    assert.deepEqual(await scene.signIn({ invitationToken: 'none' }), refused)
    assert.equal(await countOf(db, 'users'), 1)
  })

  it('makes one person of two who come with the same invitation at the same time', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const invitationToken = await scene.invite(ADA)
    const first = await scene.begin({ invitationToken })
    scene.provider.subject = 'subject-2'
    const second = await scene.begin({ invitationToken })
    const ends = await Promise.all([scene.end(first), scene.end(second)])
    assert.deepEqual(ends.map(({ kind }) => kind).sort(), ['refused', 'signed_in'])
    assert.equal(await countOf(db, 'users'), 1)
    assert.equal(await countOf(db, 'accounts'), 1)
    assert.equal(await countOf(db, 'sessions'), 1)
  })

  it('gives the account of an invited address to nobody who does not sign in to it', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    await scene.addPerson(ADA)
    const invitationToken = await scene.invite(ADA)
    assert.deepEqual(await scene.signIn({ invitationToken }), refusal('oidc_email_taken'))
    assert.equal(await countOf(db, 'accounts'), 0)
    const invitation = await db.selectFrom('invitations').selectAll().executeTakeFirstOrThrow()
    assert.equal(invitation.accepted_at, null)
  })

  it('A-06 accepts an invitation of a known person, and of nobody else', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const { issuer } = scene.provider
    await scene.addPerson(ADA, { issuer, subject: 'subject-1' })
    const others = await scene.invite('bob@example.com')
    assert.deepEqual(
      await scene.signIn({ invitationToken: others }),
      refusal('oidc_invitation_invalid'),
    )
    const own = await scene.invite(ADA)
    assert.equal((await scene.signIn({ invitationToken: own })).kind, 'signed_in')
    assert.equal((await db.selectFrom('organization_members').select('id').execute()).length, 1)
  })

  it('links an identity to the person who began, once', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const userId = await scene.addPerson(ADA)
    const session = await scene.addSession(userId)
    const linked = { kind: 'linked', returnTo: '/account' }
    const link = async () =>
      await scene.end(await scene.begin({ session, returnTo: '/account' }), session)
    assert.deepEqual(await link(), linked)
    assert.deepEqual(await link(), linked)
    assert.equal(await countOf(db, 'accounts'), 1)
    const event = await db.selectFrom('audit_events').selectAll().executeTakeFirstOrThrow()
    assert.equal(event.action, 'identity.linked')
    assert.equal(event.actor_id, userId)
    assert.equal((await scene.signIn()).kind, 'signed_in')
  })

  it('links no identity that is of somebody else', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    await scene.addPerson('bob@example.com', {
      issuer: scene.provider.issuer,
      subject: 'subject-1',
    })
    const session = await scene.addSession(await scene.addPerson(ADA))
    const end = await scene.end(await scene.begin({ session }), session)
    assert.deepEqual(end, refusal('oidc_linked_to_other', true))
    assert.equal(await countOf(db, 'accounts'), 1)
  })
})
