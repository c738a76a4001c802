import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { deps, problemsOf, record, seal, sealed, verify } from './_audit.ts'

async function take<Value>(value: Promise<Value | undefined>): Promise<Value> {
  const found = await value
  assert.ok(found !== undefined)
  return found
}

function eventAt(db: Database, sequence: number) {
  const query = db.selectFrom('audit_events').selectAll().where('sequence', '=', sequence)
  return take(query.executeTakeFirst())
}

function chainRow(db: Database, name: 'head' | 'checkpoint') {
  const query = db.selectFrom('audit_chain').selectAll().where('name', '=', name)
  return take(query.executeTakeFirst())
}

describeOnBothEngines('verifyAudit()', (open) => {
  it('finds nothing wrong with a chain that nobody touched, however it is paged', async () => {
    await using test = await open()
    assert.deepEqual((await verify(test.db)).problems, [])
    await sealed(test.db, 20)
    await record(test.db, 2)
    const verdict = await verify(test.db)
    assert.deepEqual(verdict.problems, [])
    assert.equal(verdict.events, 20)
    assert.equal(verdict.unsealed, 2)
    assert.match(verdict.anchor ?? '', /^20:[0-9a-f]{64}$/)
    assert.deepEqual(await problemsOf(test.db, verdict.anchor), [])
  })

  it('finds a changed event by any of its columns, and no other', async () => {
    await using test = await open()
    await sealed(test.db, 10)
    const set = {
      organization_id: null,
      occurred_at: '2020-01-01T00:00:00.000Z',
      actor_id: 'u2',
      address: null,
      action: 'project.created',
      outcome: 'refused',
      target_name: 'other',
      details: { z: 3 },
    } as const
    const before = await eventAt(test.db, 4)
    for (const [column, value] of Object.entries(set)) {
      const change = { [column]: value }
      await test.db.updateTable('audit_events').set(change).where('sequence', '=', 4).execute()
      const { problems } = await verify(test.db)
      assert.equal(problems.length, 1, column)
      assert.equal(problems[0]?.kind, 'changed')
      assert.equal(problems[0]?.eventId, before.id)
      await test.db.updateTable('audit_events').set(before).where('sequence', '=', 4).execute()
    }
    assert.deepEqual(await problemsOf(test.db), [])
  })

  it('finds details that are not JSON any more', async () => {
    await using test = await open()
    await sealed(test.db, 3)
    const set = { details: '{' as unknown as Record<string, unknown> }
    await test.db.updateTable('audit_events').set(set).where('sequence', '=', 2).execute()
    assert.deepEqual(await problemsOf(test.db), ['changed 2'])
  })

  it('finds removed events, at the beginning, in the middle and at the end', async () => {
    await using test = await open()
    await sealed(test.db, 20)
    await test.db.deleteFrom('audit_events').where('sequence', 'in', [1, 8, 9, 19, 20]).execute()
    assert.deepEqual(await problemsOf(test.db), ['missing 1', 'missing 8', 'missing 19'])
    const { problems } = await verify(test.db)
    assert.match(problems[1]?.message ?? '', /^Events 8 to 9 are missing before event /)
    assert.match(problems[2]?.message ?? '', /^Events 19 to 20 are missing at the end/)
  })

  it('finds an event that was taken out of the chain to be sealed again', async () => {
    await using test = await open()
    await sealed(test.db, 6)
    const set = { sequence: null, action: 'project.created' }
    await test.db.updateTable('audit_events').set(set).where('sequence', '=', 3).execute()
    await seal(test.db)
    assert.deepEqual(await problemsOf(test.db), ['missing 3'])
  })

  it('finds events that changed places', async () => {
    await using test = await open()
    await sealed(test.db, 6)
    const move = (from: number, to: number) =>
      test.db
        .updateTable('audit_events')
        .set({ sequence: to })
        .where('sequence', '=', from)
        .execute()
    await move(2, 99)
    await move(3, 2)
    await move(99, 3)
    assert.deepEqual(await problemsOf(test.db), ['changed 2', 'changed 3', 'changed 4'])
  })

  it('finds a cut-off tail although the head before it is put back', async () => {
    await using test = await open()
    await sealed(test.db, 5)
    const old = await chainRow(test.db, 'head')
    await sealed(test.db, 5)
    await test.db.updateTable('audit_chain').set(old).where('name', '=', 'head').execute()
    assert.deepEqual(await problemsOf(test.db), ['head 6'])
    await test.db.deleteFrom('audit_events').where('sequence', '>', 4).execute()
    assert.deepEqual(await problemsOf(test.db), ['missing 5'])
  })

  it('finds a head that is forged, missing, or made of a checkpoint', async () => {
    await using test = await open()
    await sealed(test.db, 5)
    const head = await chainRow(test.db, 'head')
    const put = (row: object) =>
      test.db.updateTable('audit_chain').set(row).where('name', '=', 'head').execute()
    await put({ sequence: 4 })
    assert.deepEqual(await problemsOf(test.db), ['head 4'])
    await put(head)
    await test.db
      .insertInto('audit_chain')
      .values({ ...head, name: 'checkpoint' })
      .execute()
    assert.equal((await problemsOf(test.db))[0], 'checkpoint 5')
    await test.db.deleteFrom('audit_chain').execute()
    assert.deepEqual(await problemsOf(test.db), ['head null'])
    await record(test.db, 1)
    // Sealing on would hide it.
    await assert.rejects(seal(test.db), { code: 'audit.broken' })
    assert.deepEqual(await problemsOf(test.db), ['head null'])
  })

  it('finds by an anchor that the whole chain was rolled back', async () => {
    await using test = await open()
    await sealed(test.db, 5)
    const [events, head] = [
      await test.db.selectFrom('audit_events').selectAll().execute(),
      await chainRow(test.db, 'head'),
    ]
    await sealed(test.db, 5)
    const { anchor } = await verify(test.db)
    await test.db.deleteFrom('audit_events').execute()
    await test.db.insertInto('audit_events').values(events).execute()
    await test.db.updateTable('audit_chain').set(head).where('name', '=', 'head').execute()
    assert.deepEqual(await problemsOf(test.db), [])
    assert.deepEqual(await problemsOf(test.db, anchor), ['anchor 10'])
    await sealed(test.db, 8)
    assert.deepEqual(await problemsOf(test.db), [])
    assert.deepEqual(await problemsOf(test.db, anchor), ['anchor 10'])
  })

  it('finds that another database was put in its place', async () => {
    await using test = await open()
    await sealed(test.db, 5)
    const { anchor } = await verify(test.db)
    await test.db.deleteFrom('audit_events').execute()
    await test.db.deleteFrom('audit_chain').execute()
    await sealed(test.db, 9)
    assert.deepEqual(await problemsOf(test.db), [])
    assert.deepEqual(await problemsOf(test.db, anchor), ['anchor 5'])
  })

  it('counts more problems than it tells', async () => {
    await using test = await open()
    await sealed(test.db, 120)
    await test.db.updateTable('audit_events').set({ address: deps.newId() }).execute()
    const verdict = await verify(test.db)
    assert.equal(verdict.problemCount, 120)
    assert.equal(verdict.problems.length, 100)
  })
})
