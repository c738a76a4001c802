import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { systemClock } from '../lib/clock.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { rotateKeys } from '../secrets/rotate-keys.ts'
import { deps, keyring, problemsOf, record, seal, sealed, secretOf, verify } from './_audit.ts'
import { parseAnchor } from './audit-chain.ts'
import { pruneAudit } from './prune-audit.ts'
import { verifyAudit } from './verify-audit.ts'

const DAY_MS = 86_400_000

function prune(db: Database, daysAhead: number): Promise<number> {
  const clock = { ...systemClock, now: () => systemClock.now() + daysAhead * DAY_MS }
  const config = { auditRetentionDays: 10 }
  return pruneAudit({ ...deps, db, clock, keyring, config })
}

describeOnBothEngines('pruneAudit()', (open) => {
  it('removes old events alone and leaves a checkpoint from which the rest is verified', async () => {
    await using test = await open()
    const { db } = test
    await sealed(db, 20)
    const { anchor } = await verify(db)
    assert.equal(await prune(db, 9), 0)
    await record(db, 3)
    assert.equal(await prune(db, 11), 20)
    await seal(db)
    const verdict = await verify(db)
    assert.deepEqual(verdict.problems, [])
    // The three that were not sealed yet, and the one that tells of the removal.
    assert.equal(verdict.events, 4)
    const told = await db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'audit.pruned')
      .execute()
    assert.equal(told.length, 1)
    assert.equal(told[0]?.organization_id, null)
    assert.deepEqual(await problemsOf(db, anchor), [])
    assert.equal(await prune(db, 11), 3)
    assert.deepEqual(await problemsOf(db, anchor), ['anchor 20'])
  })

  it('removes more than one batch, and notices when the checkpoint is changed or removed', async () => {
    await using test = await open()
    const { db } = test
    await sealed(db, 620)
    assert.equal(await prune(db, 11), 620)
    assert.deepEqual(await problemsOf(db), [])
    await seal(db)
    const [checkpoint] = await db
      .selectFrom('audit_chain')
      .selectAll()
      .where('name', '=', 'checkpoint')
      .execute()
    assert.equal(checkpoint?.sequence, 620)
    const change = { signed_at: '2026-01-01T00:00:00.000Z' }
    await db.updateTable('audit_chain').set(change).where('name', '=', 'checkpoint').execute()
    assert.deepEqual(await problemsOf(db), ['checkpoint 620', 'missing 1'])
    await db.deleteFrom('audit_chain').where('name', '=', 'checkpoint').execute()
    assert.deepEqual(await problemsOf(db), ['missing 1'])
  })

  it('does not remove what was made to look old', async () => {
    await using test = await open()
    const { db } = test
    await sealed(db, 5)
    const old = { occurred_at: '2020-01-01T00:00:00.000Z' }
    await db.updateTable('audit_events').set(old).where('sequence', '<=', 2).execute()
    await assert.rejects(prune(db, 0), { code: 'audit.broken' })
    assert.deepEqual(await problemsOf(db), ['changed 1', 'changed 2'])
  })

  it('goes on beside a verification', async () => {
    await using test = await open()
    const { db } = test
    await sealed(db, 30)
    let last
    const options = { anchor: null, pageSize: 4 }
    for await (const step of verifyAudit({ db, secret: await secretOf(db) }, options)) {
      if (step.kind === 'progress' && step.verified === 8) {
        assert.equal(await prune(db, 11), 30)
        await sealed(db, 5)
      }
      last = step
    }
    assert.ok(last?.kind === 'verdict')
    assert.deepEqual(last.verdict.problems, [])
  })
})

describeOnBothEngines('rotateKeys()', (open) => {
  it('leaves the audit verifiable', async () => {
    await using test = await open()
    const { db } = test
    await sealed(db, 5)
    const { anchor } = await verify(db)
    const both = createKeyring([
      { id: 'k2', bytes: new Uint8Array(32).fill(9) },
      { id: 'k1', bytes: new Uint8Array(32).fill(7) },
    ])
    const rotating = { ...both, addKey: async () => {}, removeKey: async () => {} }
    await rotateKeys({ db, clock: systemClock, keyring: rotating as never })
    const onlyNew = createKeyring([{ id: 'k2', bytes: new Uint8Array(32).fill(9) }])
    const secret = await readInstanceSecret({ db, clock: systemClock, keyring: onlyNew }, 'audit')
    const options = { anchor: parseAnchor(anchor ?? '') }
    for await (const step of verifyAudit({ db, secret }, options)) {
      if (step.kind === 'verdict') assert.deepEqual(step.verdict.problems, [])
    }
  })
})
