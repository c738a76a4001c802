import assert from 'node:assert/strict'
import { it } from 'node:test'

import { sql } from 'kysely'

import { describeOnBothEngines, type TestDatabase } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { openDatabase } from '../database/open-database.ts'
import { systemClock } from '../lib/clock.ts'
import { createLogger } from '../lib/logger.ts'
import { keyring, PERSON, deps, record, seal, sealed, verify } from './_audit.ts'
import { GENESIS, macOf } from './audit-chain.ts'
import { recordAuditEvent } from './record-audit-event.ts'
import { startAuditSealing } from './start-audit-sealing.ts'

async function sequences(db: Database): Promise<(number | null)[]> {
  const rows = await db.selectFrom('audit_events').select('sequence').orderBy('id').execute()
  return rows.map(({ sequence }) => sequence)
}

/** Handles with connections of their own, as other processes have. SQLite has one handle and one process. */
async function openMore(test: TestDatabase, stack: AsyncDisposableStack, count: number) {
  if (test.engine === 'sqlite') return Array.from({ length: count }, () => test.db)
  const handles = Array.from({ length: count }, () => openDatabase(test.location))
  const opened = await Promise.all(handles)
  for (const db of opened) stack.defer(() => db.destroy())
  return opened
}

describeOnBothEngines('sealAuditEvents()', (open, engine) => {
  it('numbers events in the order of their making, in as many steps as it takes', async () => {
    await using test = await open()
    assert.equal(await seal(test.db), 0)
    await record(test.db, 450)
    assert.equal(await seal(test.db), 450)
    assert.equal(await seal(test.db), 0)
    assert.deepEqual(
      await sequences(test.db),
      Array.from({ length: 450 }, (_, index) => index + 1),
    )
  })

  it('puts an event that was committed late behind those that were sealed before', async () => {
    await using test = await open()
    const early = deps.newId()
    await sealed(test.db, 2)
    const by = { ...PERSON, name: 'late' }
    const event = { organizationId: null, by, action: 'sign_in.failed' } as const
    await recordAuditEvent({ ...deps, newId: () => early }, test.db, event)
    await seal(test.db)
    assert.deepEqual(await sequences(test.db), [3, 1, 2])
    assert.deepEqual((await verify(test.db)).problems, [])
  })

  it('seals the same event alike on both engines, and until the format is changed', () => {
    const event = {
      id: 'e1',
      organization_id: null,
      occurred_at: '2026-01-01T00:00:00.000Z',
      actor_kind: 'system',
      actor_id: null,
      actor_name: null,
      address: null,
      request_id: null,
      action: 'audit.pruned',
      outcome: 'done',
      target_kind: null,
      target_id: null,
      target_name: null,
      details_text: '{"z":1,"a":2}',
      sequence: null,
      mac: null,
    } as const
    const mac = macOf(Buffer.alloc(32, 1), GENESIS, event)
    assert.equal(mac, 'e6097d15584786a2bfb231ff52739f7b2b43cc13aa3cecc2806a75d15c65d798')
  })

  it('stores what is sealed as it was given, the order of the details included', async () => {
    await using test = await open()
    await record(test.db, 1)
    const { details } = await test.db
      .selectFrom('audit_events')
      .select('details')
      .executeTakeFirstOrThrow()
    assert.equal(JSON.stringify(details), '{"z":0,"a":["ü",null],"fields":{"b":1,"a":2}}')
  })

  it('neither forks nor leaves gaps while eight write and two seal', async () => {
    await using test = await open()
    await using stack = new AsyncDisposableStack()
    const writers = await openMore(test, stack, 8)
    const sealers = await openMore(test, stack, 2)
    const work = { isOver: false }
    const sealing = sealers.map(async (db) => {
      let count = 0
      while (!work.isOver) count += await seal(db)
      return count
    })
    await Promise.all(writers.map((db) => record(db, 60)))
    work.isOver = true
    const counts = await Promise.all(sealing)
    const rest = await seal(test.db)
    const total = writers.length * 60
    assert.equal(
      counts.reduce((sum, count) => sum + count, rest),
      total,
    )
    const all = (await sequences(test.db)).toSorted((one, other) => (one ?? 0) - (other ?? 0))
    assert.deepEqual(
      all,
      Array.from({ length: total }, (_, index) => index + 1),
    )
    const verdict = await verify(test.db)
    assert.deepEqual(verdict.problems, [])
    assert.equal(verdict.events, total)
  })

  it('begins one chain when two begin at once', async () => {
    await using test = await open()
    await using stack = new AsyncDisposableStack()
    const handles = await openMore(test, stack, 2)
    await record(test.db, 10)
    await Promise.all(handles.map((db) => seal(db)))
    await seal(test.db)
    const verdict = await verify(test.db)
    assert.deepEqual(verdict.problems, [])
    assert.equal(verdict.events, 10)
  })

  if (engine === 'postgres') {
    it('lets nobody wait for a transaction that has recorded an event', async () => {
      await using test = await open()
      await using stack = new AsyncDisposableStack()
      const [slow, other] = await openMore(test, stack, 2)
      assert.ok(slow !== undefined && other !== undefined)
      const held = await slow.startTransaction().execute()
      const event = {
        organizationId: 'org-default',
        by: PERSON,
        action: 'project.created',
      } as const
      await recordAuditEvent(deps, held, event)
      // Whoever waited for the open transaction would end this test by these time limits.
      await other.connection().execute(async (db) => {
        await sql`set statement_timeout = 5000`.execute(db)
        await inTransaction(db, (tx) => recordAuditEvent(deps, tx, event))
        assert.equal(await seal(db), 1)
      })
      await held.commit().execute()
      assert.equal(await seal(other), 1)
      assert.deepEqual(await sequences(test.db), [2, 1])
      assert.deepEqual((await verify(test.db)).problems, [])
    })
  }
})

describeOnBothEngines('startAuditSealing()', (open) => {
  it('seals what is left when it ends, and logs the head', async () => {
    await using test = await open()
    const { db } = test
    const lines: string[] = []
    const log = createLogger({ level: 'info', write: (line) => lines.push(line) })
    await sealed(db, 3)
    {
      await using _sealing = startAuditSealing({ db, clock: systemClock, log, keyring })
      await record(db, 4)
    }
    const { anchor, unsealed, problems } = await verify(db)
    assert.deepEqual([unsealed, problems], [0, []])
    assert.match(anchor ?? '', /^7:/)
    const head = lines.find((line) => line.includes('"Audit head"'))
    assert.match(head ?? '', /"anchor":"[3-7]:[0-9a-f]{64}"/)
  })

  it('says once what keeps it from sealing', async () => {
    await using test = await open()
    const { db } = test
    await sealed(db, 1)
    await db.deleteFrom('audit_chain').execute()
    await record(db, 1)
    const lines: string[] = []
    const failed = Promise.withResolvers<void>()
    const log = createLogger({ level: 'error', write: (line) => lines.push(line) })
    const rounds = { left: 3 }
    const clock = {
      now: () => systemClock.now(),
      sleep: async (_ms: number, signal?: AbortSignal) => {
        rounds.left -= 1
        if (rounds.left > 0) return
        failed.resolve()
        await new Promise((resolve) => signal?.addEventListener('abort', resolve))
      },
    }
    {
      await using _sealing = startAuditSealing({ db, clock, log, keyring })
      await failed.promise
    }
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /its head is missing. Run: nanoscale audit verify/)
  })
})
