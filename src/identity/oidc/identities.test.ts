import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { systemClock } from '../../lib/clock.ts'
import { newId } from '../../lib/ids.ts'
import { createPerson } from '../people.ts'
import { addIdentity, listIdentities, removeIdentity } from './identities.ts'

const ISSUER = 'https://id.example.com'
const FORMER_ISSUER = 'https://former.example.com'
const BY = { kind: 'user', id: 'u', name: 'ada', address: null, requestId: null } as const

async function addPerson(
  db: Database,
  person: { email?: string; passwordHash?: string | null; identities: readonly [string, string][] },
) {
  const deps = { clock: systemClock, newId }
  const { email = 'ada@example.com', passwordHash = null, identities } = person
  const userId = await inTransaction(db, async (tx) => {
    const { id } = await createPerson(deps, tx, { email, name: 'Ada', passwordHash })
    for (const [issuer, subject] of identities) {
      await addIdentity(deps, tx, { person: { id, email }, issuer, subject, by: BY })
    }
    return id
  })
  const listed = await listIdentities(db, userId)
  const remove = (identityId: string) =>
    removeIdentity({ ...deps, db }, { userId, identityId, usableIssuer: ISSUER, by: BY })
  return { userId, ids: listed.map(({ id }) => id), remove, listed }
}

describeOnBothEngines('listIdentities()', (open) => {
  it('lists identities of this person, without the password', async () => {
    await using database = await open()
    await addPerson(database.db, { email: 'bob@example.com', identities: [[ISSUER, 'bob']] })
    const identities = [
      [ISSUER, 'one'],
      [FORMER_ISSUER, 'two'],
    ] as const
    const { listed } = await addPerson(database.db, {
      passwordHash: 'hash',
      identities: identities.map(([issuer, subject]) => [issuer, subject]),
    })
    assert.deepEqual(
      listed.map(({ issuer, subject }) => [issuer, subject]),
      identities,
    )
  })
})

describeOnBothEngines('removeIdentity()', (open) => {
  it('removes one beside a password, and records it', async () => {
    await using database = await open()
    const { db } = database
    const ada = await addPerson(db, { passwordHash: 'hash', identities: [[ISSUER, 'one']] })
    await ada.remove(ada.ids[0] ?? '')
    assert.deepEqual(await listIdentities(db, ada.userId), [])
    const event = await db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'identity.unlinked')
      .executeTakeFirstOrThrow()
    assert.equal(event.target_id, ada.userId)
    assert.deepEqual(event.details, { issuer: ISSUER, subject: 'one' })
  })

  it('leaves the last way in, even when two are removed at the same time', async () => {
    await using database = await open()
    const { db } = database
    const ada = await addPerson(db, {
      identities: [
        [ISSUER, 'one'],
        [ISSUER, 'two'],
      ],
    })
    const ends = await Promise.allSettled(ada.ids.map((id) => ada.remove(id)))
    const failures = ends.filter((end) => end.status === 'rejected')
    assert.equal(failures.length, 1)
    assert.equal(failures[0]?.reason.code, 'identity.last_way_in')
    assert.equal((await listIdentities(db, ada.userId)).length, 1)
  })

  it('counts no identity of a provider that is not configured any more', async () => {
    await using database = await open()
    const ada = await addPerson(database.db, {
      identities: [
        [ISSUER, 'one'],
        [FORMER_ISSUER, 'two'],
      ],
    })
    const [usable = '', former = ''] = ada.ids
    await assert.rejects(ada.remove(usable), { code: 'identity.last_way_in' })
    await ada.remove(former)
  })

  it('finds neither the password nor what others have', async () => {
    await using database = await open()
    const { db } = database
    const bob = await addPerson(db, {
      email: 'bob@example.com',
      passwordHash: 'hash',
      identities: [[ISSUER, 'bob']],
    })
    const ada = await addPerson(db, { passwordHash: 'hash', identities: [[ISSUER, 'ada']] })
    const credential = await db
      .selectFrom('accounts')
      .select('id')
      .where('provider_id', '=', 'credential')
      .where('user_id', '=', ada.userId)
      .executeTakeFirstOrThrow()
    for (const id of [bob.ids[0] ?? '', credential.id, 'nothing']) {
      await assert.rejects(ada.remove(id), { code: 'identity.not_found' })
    }
    assert.equal((await db.selectFrom('accounts').select('id').execute()).length, 4)
  })
})
