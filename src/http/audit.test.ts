import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { SYSTEM } from '../audit/actor.ts'
import { recordAuditEvent, type AuditEvent } from '../audit/record-audit-event.ts'
import { sealAuditEvents } from '../audit/seal-audit-events.ts'
import type { Database } from '../database/database.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import { addOrganization, testApp } from './_test-app.ts'

interface Event {
  id: string
  action: string
  outcome: string
  organization_id: string | null
  actor: { kind: string; id: string | null; name: string | null }
  address: string | null
  target: { kind: string; id: string; name: string | null } | null
  details: Record<string, unknown>
  sequence?: number | null
  mac?: string | null
}

async function record(db: Database, event: Partial<AuditEvent>, minutesAgo = 0): Promise<void> {
  const now = () => systemClock.now() - minutesAgo * 60_000
  const clock = { ...systemClock, now }
  const required = { organizationId: 'org-default', by: SYSTEM, action: 'member.joined' } as const
  await recordAuditEvent({ clock, newId }, db, { ...required, ...event })
}

async function listed(answer: Promise<Response>) {
  const response = await answer
  assert.equal(response.status, 200)
  return (await response.json()) as { items: Event[]; next_cursor: string | null }
}

async function linesOf(response: Response): Promise<Event[]> {
  assert.equal(response.status, 200)
  const lines = (await response.text()).split('\n')
  assert.equal(lines.pop(), '')
  return lines.map((line) => JSON.parse(line) as Event)
}

describeOnBothEngines('audit.list', (open) => {
  it('lists the newest first, page by page', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (let index = 0; index < 5; index += 1) {
      await record(database.db, {
        organizationId: index % 2 === 0 ? 'org-default' : null,
        details: { index },
      })
    }
    const first = await listed(test.request('GET', '/api/audit?limit=3'))
    assert.deepEqual(
      first.items.map(({ details }) => details['index']),
      [4, 3, 2],
    )
    const next = await listed(test.request('GET', `/api/audit?limit=3&cursor=${first.next_cursor}`))
    assert.deepEqual(
      next.items.map(({ details }) => details['index']),
      [1, 0],
    )
    assert.equal(next.next_cursor, null)
  })

  it('shows an organization its own alone, and the instance to the operator', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    await addOrganization(db, 'org-b')
    for (const organizationId of ['org-default', 'org-b', null])
      await record(db, { organizationId })
    const organizationsOf = async (answer: Promise<Response>) =>
      (await listed(answer)).items.map((item) => item.organization_id)
    const admin = await test.as('admin')
    assert.deepEqual(await organizationsOf(admin('GET', '/api/audit')), ['org-default'])
    const token = await test.tokenOf('org-b', { scopes: ['audit:read'] })
    assert.deepEqual(await organizationsOf(test.request('GET', '/api/audit', { token })), ['org-b'])
    assert.deepEqual(await organizationsOf(test.request('GET', '/api/audit')), [
      null,
      'org-default',
    ])
    const headers = { 'x-nanoscale-organization': 'org-b' }
    assert.deepEqual(await organizationsOf(test.request('GET', '/api/audit', { headers })), [
      null,
      'org-b',
    ])
    const [shown] = (await listed(admin('GET', '/api/audit'))).items
    // Counting what others do is not an admin's business.
    assert.ok(shown !== undefined && !('sequence' in shown) && !('mac' in shown))
  })

  it('filters', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    const ann = { ...SYSTEM, kind: 'user', id: 'u1', name: 'ann@example.com' } as const
    await record(db, { action: 'sign_in.failed', outcome: 'failed' }, 180)
    await record(db, { action: 'member.removed', by: ann }, 120)
    await record(db, { action: 'project.deleted', target: { kind: 'project', id: 'p1' } }, 60)
    const matching = async (query: string) =>
      (await listed(test.request('GET', `/api/audit?${query}`))).items.map(({ action }) => action)
    const time = (minutesAgo: number) =>
      encodeURIComponent(toIsoTime(systemClock.now() - minutesAgo * 60_000))
    assert.deepEqual(await matching('action=member.removed'), ['member.removed'])
    assert.deepEqual(await matching('actor_id=u1'), ['member.removed'])
    assert.deepEqual(await matching('target_id=p1'), ['project.deleted'])
    assert.deepEqual(await matching('outcome=failed'), ['sign_in.failed'])
    assert.deepEqual(await matching(`since=${time(130)}`), ['project.deleted', 'member.removed'])
    assert.deepEqual(await matching(`until=${time(130)}`), ['sign_in.failed'])
    assert.deepEqual(await matching(`since=${time(130)}&until=${time(90)}`), ['member.removed'])
    for (const query of ['since=yesterday', 'outcome=fine', 'limit=0']) {
      assert.equal((await test.request('GET', `/api/audit?${query}`)).status, 422)
    }
  })
})

describeOnBothEngines('audit.export', (open) => {
  it('sends every event of the organization as a line, and records that it did', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    await addOrganization(db, 'org-b')
    for (let index = 0; index < 520; index += 1) await record(db, { details: { index } })
    await record(db, { organizationId: 'org-b' })
    await record(db, { organizationId: null })
    const admin = await test.as('admin')
    const response = await admin('GET', '/api/audit/export')
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
    const events = await linesOf(response)
    assert.equal(events.length, 521)
    assert.deepEqual(
      events.slice(0, -1).map(({ details }) => details['index']),
      Array.from({ length: 520 }, (_, index) => index),
    )
    assert.equal(events.at(-1)?.action, 'audit.exported')
    assert.equal(events.at(-1)?.actor.id, admin.userId)
    assert.ok(events.every((event) => event.organization_id === 'org-default'))
    const filtered = await linesOf(
      await test.request('GET', '/api/audit/export?action=audit.exported'),
    )
    assert.deepEqual(
      filtered.map(({ details }) => details),
      [{}, { action: 'audit.exported' }],
    )
  })

  it('reads no further than its reader, and stops when that one goes', async () => {
    await using database = await open()
    let queries = 0
    const db = database.db.withPlugin({
      transformQuery: ({ node }) => {
        if (JSON.stringify(node).includes('"audit_events"')) queries += 1
        return node
      },
      transformResult: ({ result }) => Promise.resolve(result),
    })
    using test = testApp(db)
    for (let index = 0; index < 1100; index += 1) await record(database.db, {})
    const response = await (await test.as('admin'))('GET', '/api/audit/export')
    const reader = response.body?.getReader()
    assert.ok(reader !== undefined)
    for (let index = 0; index < 10; index += 1) await reader.read()
    for (let index = 0; index < 10; index += 1) await setImmediate()
    // The record of the export and the first page.
    assert.equal(queries, 2)
    await reader.cancel()
    await setImmediate()
    assert.equal(queries, 2)
  })

  it('breaks off when the server stops: half of it must not look whole', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (let index = 0; index < 20; index += 1) await record(database.db, {})
    const response = await test.request('GET', '/api/audit/export')
    const reader = response.body?.getReader()
    await reader?.read()
    test.stop()
    await assert.rejects(async () => {
      for (;;) if ((await reader?.read())?.done !== false) return
    })
  })
})

describeOnBothEngines('audit.verify', (open) => {
  it('tells the operator what is wrong, and nobody else', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    for (let index = 0; index < 3; index += 1) await record(db, {})
    const secret = await readInstanceSecret(test.app, 'audit')
    await sealAuditEvents({ db, clock: systemClock, secret })
    const verdictOf = async (query = '') => {
      const answer = await test.request('POST', `/api/audit/verify${query}`)
      const data = /event: verdict\ndata: (.*)\n/.exec(await answer.text())?.[1]
      return JSON.parse(data ?? '') as {
        events: number
        anchor: string
        problem_count: number
        problems: { kind: string; sequence: number }[]
      }
    }
    const whole = await verdictOf()
    assert.deepEqual([whole.events, whole.problem_count], [3, 0])
    assert.equal((await verdictOf(`?anchor=${whole.anchor}`)).problem_count, 0)
    await db.deleteFrom('audit_events').where('sequence', '=', 2).execute()
    const { problems } = await verdictOf()
    assert.equal(problems[0]?.kind, 'missing')
    assert.equal(problems[0]?.sequence, 2)
    assert.equal((await test.request('POST', '/api/audit/verify?anchor=3')).status, 422)
    const owner = await test.as('owner')
    assert.equal((await owner('POST', '/api/audit/verify')).status, 403)
  })
})
