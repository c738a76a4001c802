import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import { OAUTH_STATE_MS, randomOauthValue } from '../oauth-states.ts'
import { HOME, oidcScene } from './_scene.ts'
import type { OidcEnd } from './finish-oidc.ts'
import type { OidcError } from './oidc-errors.ts'

const ADA = 'ada@example.com'

const refusal = (error: OidcError): OidcEnd => ({ kind: 'refused', whileLinking: false, error })

describeOnBothEngines('a trip to the provider', (open) => {
  it('takes a callback once, even when it comes twice at the same time', async () => {
    await using database = await open()
    const { db } = database
    await using scene = await oidcScene(db)
    await scene.addPerson(ADA, { issuer: scene.provider.issuer, subject: 'subject-1' })
    const trip = await scene.begin()
    const ends = await Promise.all([scene.end(trip), scene.end(trip)])
    assert.deepEqual(ends.map(({ kind }) => kind).sort(), ['refused', 'signed_in'])
    assert.deepEqual(await scene.end(trip), refusal('oidc_expired'))
    assert.equal((await db.selectFrom('sessions').select('id').execute()).length, 1)
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
    assert.equal((await db.selectFrom('sessions').select('id').execute()).length, 0)
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
    assert.equal((await db.selectFrom('accounts').select('id').execute()).length, 0)
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
    assert.equal((await database.db.selectFrom('sessions').select('id').execute()).length, 0)
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
