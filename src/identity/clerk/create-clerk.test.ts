import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import type { Database } from '../../database/database.ts'
import { systemClock } from '../../lib/clock.ts'
import { isOperationError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { silentLogger } from '../../lib/logger.ts'
import { Secret } from '../../lib/secret.ts'
import { clerkJobs, createClerk } from './create-clerk.ts'

const SECRET = new Secret(`whsec_${Buffer.alloc(24, 1).toString('base64')}`)

function depsOf(db: Database, config: Partial<Parameters<typeof createClerk>[0]['config']> = {}) {
  return {
    db,
    clock: systemClock,
    newId,
    log: silentLogger,
    config: {
      clerkWebhookSecret: null,
      clerkIssuer: null,
      clerkJwksUrl: null,
      clerkJwtKey: null,
      clerkAuthorizedParties: [],
      clerkRoles: {},
      ...config,
    },
  }
}

const ISOLATED = { isolation: 'users', allowUnisolated: false } as const
const UNISOLATED = { isolation: 'none', allowUnisolated: false } as const
const isUnisolated = (error: unknown) => isOperationError(error, 'clerk.unisolated')

describeOnBothEngines('createClerk()', (open) => {
  it('takes nobody in where apps could read one another, unless the operator said so', async () => {
    await using database = await open()
    const configured = depsOf(database.db, { clerkWebhookSecret: SECRET })
    await assert.rejects(createClerk(configured, UNISOLATED), isUnisolated)
    await createClerk(configured, { ...UNISOLATED, allowUnisolated: true })
    await createClerk(configured, ISOLATED)
    await createClerk(depsOf(database.db), UNISOLATED)
  })

  it('accepts sessions only when it knows who issues them', async () => {
    await using database = await open()
    const without = await createClerk(depsOf(database.db), ISOLATED)
    assert.equal(without.clerkSessions, null)
    const clerkIssuer = 'https://clerk.example.com'
    const { clerkSessions } = await createClerk(depsOf(database.db, { clerkIssuer }), ISOLATED)
    assert.equal(await clerkSessions?.authenticate('eyJ.eyJ.x'), null)
  })
})

describeOnBothEngines('clerkJobs()', (open) => {
  it('forgets messages after 30 days', async () => {
    await using database = await open()
    const { db } = database
    const now = Date.UTC(2026, 1, 1)
    const days = (count: number) => new Date(now - count * 86_400_000).toISOString()
    const message = (id: string, received_at: string) => ({ id, event_type: 'any', received_at })
    const values = [message('old', days(31)), message('young', days(29))]
    await db.insertInto('clerk_messages').values(values).execute()
    const [job] = clerkJobs({ db, clock: { ...systemClock, now: () => now } })
    await job?.run()
    assert.deepEqual(await db.selectFrom('clerk_messages').select('id').execute(), [
      { id: 'young' },
    ])
  })
})
