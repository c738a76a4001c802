import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { expireIdentityRecords } from './expire-identity-records.ts'

const NOW = Date.parse('2026-06-01T12:00:00.000Z')
const MINUTE = 60_000
const at = (ms: number) => toIsoTime(NOW + ms)

async function addRecords(db: Database): Promise<void> {
  const made = { created_at: at(-MINUTE), updated_at: at(-MINUTE) }
  const user = { email: 'ann@example.com', name: 'Ann', email_verified: true, ...made }
  await db
    .insertInto('users')
    .values({ id: 'u1', ...user, two_factor_enabled: false })
    .execute()
  for (const [name, ms] of [
    ['old', -1],
    ['new', MINUTE],
  ] as const) {
    const times = { expires_at: at(ms), ...made }
    await db
      .insertInto('sessions')
      .values({ id: name, user_id: 'u1', token: name, ...times })
      .execute()
    await db
      .insertInto('verifications')
      .values({ id: name, identifier: name, value: name, ...times })
      .execute()
    const hashes = { state_hash: name, binding_hash: name, request_sealed: name }
    await db
      .insertInto('oauth_states')
      .values({ id: name, purpose: 'sign-in', ...hashes, created_at: at(0), expires_at: at(ms) })
      .execute()
  }
  const codes = [
    ['old', -61 * MINUTE],
    ['new', -59 * MINUTE],
  ] as const
  for (const [code_hash, ms] of codes) {
    await db
      .insertInto('used_totp_codes')
      .values({ user_id: 'u1', code_hash, used_at: at(ms) })
      .execute()
  }
  const throttles = [
    { key_hash: 'old', updated_at: at(-1441 * MINUTE), blocked_until: at(-1) },
    { key_hash: 'new', updated_at: at(-1439 * MINUTE), blocked_until: null },
    { key_hash: 'blocked', updated_at: at(-1441 * MINUTE), blocked_until: at(MINUTE) },
  ]
  for (const row of throttles) {
    await db
      .insertInto('sign_in_throttles')
      .values({ ...row, failures: 9 })
      .execute()
  }
}

async function left(db: Database) {
  const idsOf = async (table: 'sessions' | 'verifications' | 'oauth_states') =>
    (await db.selectFrom(table).select('id').execute()).map(({ id }) => id)
  const codes = await db.selectFrom('used_totp_codes').select('code_hash').execute()
  const throttles = await db
    .selectFrom('sign_in_throttles')
    .select('key_hash')
    .orderBy('key_hash')
    .execute()
  return {
    sessions: await idsOf('sessions'),
    verifications: await idsOf('verifications'),
    oauthStates: await idsOf('oauth_states'),
    codes: codes.map(({ code_hash }) => code_hash),
    throttles: throttles.map(({ key_hash }) => key_hash),
  }
}

describeOnBothEngines('expireIdentityRecords()', (open) => {
  it('removes what is over and nothing else', async () => {
    await using test = await open()
    await addRecords(test.db)
    await expireIdentityRecords({ db: test.db, clock: { ...systemClock, now: () => NOW } })
    assert.deepEqual(await left(test.db), {
      sessions: ['new'],
      verifications: ['new'],
      oauthStates: ['new'],
      codes: ['new'],
      throttles: ['blocked', 'new'],
    })
  })

  it('removes more than one batch', async () => {
    await using test = await open()
    const times = { expires_at: at(-1), created_at: at(-2), updated_at: at(-2) }
    const rows = Array.from({ length: 620 }, (_, index) => ({
      id: `v${index}`,
      identifier: 'x',
      value: 'y',
      ...times,
    }))
    await test.db.insertInto('verifications').values(rows).execute()
    await expireIdentityRecords({ db: test.db, clock: { ...systemClock, now: () => NOW } })
    assert.deepEqual((await left(test.db)).verifications, [])
  })
})
