import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { OAUTH_STATE_MS, randomOauthValue } from '../oauth-states.ts'
import { authenticateSession } from '../sign-in/sessions.ts'
import { BY, HOME, oidcScene } from './_scene.ts'
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
      'identity.linked',
      'member.joined',
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

  it('takes a callback once, even when it comes twice at the same time', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    const trip = await scene.begin()
    const ends = await Promise.all([scene.end(trip), scene.end(trip)])
    assert.deepEqual(ends.map(({ kind }) => kind).sort(), ['refused', 'signed_in'])
    assert.deepEqual(await scene.end(trip), refusal('oidc_expired'))
    assert.equal(await countOf(db, 'sessions'), 1)
  })

  it('I-04 takes no callback of a trip that another browser began', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    await scene.addPerson('eve@example.com', {
      issuer: scene.provider.issuer,
      subject: 'subject-1',
    })
    const attackers = await scene.begin()
    const refused = refusal('oidc_expired')
    for (const binding of [randomOauthValue(), (await scene.begin()).binding, '']) {
      assert.deepEqual(await scene.end({ ...attackers, binding }), refused)
    }
    assert.equal(await countOf(db, 'sessions'), 0)
    assert.equal((await scene.end(attackers)).kind, 'signed_in')
  })

  it("I-04 links nothing to the victim by an attacker's callback", async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const victim = await scene.addSession(await scene.addPerson(ADA))
    const attacker = await scene.addSession(await scene.addPerson('eve@example.com'))
    const trip = await scene.begin({ session: attacker })
    const refused = refusal('oidc_expired')
    assert.deepEqual(await scene.end({ ...trip, binding: randomOauthValue() }, victim), refused)
    // Even with the attacker's cookie in the browser: the state is of another person.
    assert.deepEqual(await scene.end(trip, victim), refused)
    assert.deepEqual(await scene.end(trip), refused)
    assert.equal(await countOf(db, 'accounts'), 0)
  })

  it('takes no state that is unknown, missing or over ten minutes old', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    const refused = refusal('oidc_expired')
    const trip = await scene.begin()
    const unknown = new URL(trip.url)
    unknown.searchParams.set('state', randomOauthValue())
    assert.deepEqual(await scene.end({ ...trip, url: unknown }), refused)
    const missing = new URL(trip.url)
    missing.searchParams.delete('state')
    assert.deepEqual(await scene.end({ ...trip, url: missing }), refused)
    scene.advance(OAUTH_STATE_MS)
    assert.deepEqual(await scene.end(trip), refused)
  })

  it('uses a state up, whatever the provider answered', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    const denied = await scene.begin()
    const url = new URL(denied.url)
    url.searchParams.delete('code')
    url.searchParams.set('error', 'access_denied')
    url.searchParams.set('error_description', '<script>alert(1)</script>')
    assert.deepEqual(await scene.end({ ...denied, url }), refusal('oidc_denied'))
    assert.deepEqual(await scene.end(denied), refusal('oidc_expired'))
    const failed = await scene.begin()
    scene.provider.faults = { down: true }
    assert.deepEqual(await scene.end(failed), refusal('oidc_unavailable'))
    scene.provider.faults = {}
    assert.deepEqual(await scene.end(failed), refusal('oidc_expired'))
  })

  it('I-04 refuses a code that was made for another trip, although the state is right', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    const attackers = await scene.begin()
    const own = await scene.begin()
    own.url.searchParams.set('code', attackers.url.searchParams.get('code') ?? '')
    assert.deepEqual(await scene.end(own), refusal('oidc_invalid'))
    assert.equal(await countOf(database.db, 'sessions'), 0)
  })

  it('I-17 returns to a path of this site alone', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    for (const returnTo of ['//evil.example', 'https:evil', '/\\evil', 'javascript:x', HOME]) {
      const end = await scene.signIn({ returnTo })
      assert.ok(end.kind === 'signed_in')
      assert.equal(end.returnTo, '/')
    }
  })

  it('serves two tabs of one browser', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    const first = await scene.begin()
    const second = await scene.begin({ binding: first.binding })
    assert.equal(second.binding, first.binding)
    assert.equal((await scene.end(first)).kind, 'signed_in')
    assert.equal((await scene.end(second)).kind, 'signed_in')
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

  it('keeps nothing of a trip that could be used', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    const invitationToken = await scene.invite(ADA)
    const trip = await scene.begin({ invitationToken })
    const stored = JSON.stringify(await db.selectFrom('oauth_states').selectAll().execute())
    const state = trip.url.searchParams.get('state') ?? ''
    for (const secret of [state, trip.binding, invitationToken]) {
      assert.ok(secret.length > 20 && !stored.includes(secret))
    }
    scene.advance(OAUTH_STATE_MS)
    await scene.begin()
    const left = await db.selectFrom('oauth_states').select('id').execute()
    assert.equal(left.length, 1)
  })

  it('says that no provider is configured', async () => {
    await using database = await open()
    await using scene = await oidcScene(database.db)
    const trip = await scene.begin()
    scene.deps.oidc = null
    await assert.rejects(scene.end(trip), { code: 'oidc.not_configured' })
    await assert.rejects(scene.begin(), { code: 'oidc.not_configured' })
  })
})
