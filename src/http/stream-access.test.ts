import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { SYSTEM } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { errorBody } from '../contract/common.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { requestDeployment } from '../deployments/request-deployment.ts'
import { toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createMovableClock } from './_movable-clock.ts'
import { addOrganization, REPO, testApp, type TestApp, type TestBrowser } from './_test-app.ts'
import { createStreamSlots } from './stream-access.ts'

/** A project with a deployment that does not end: its log is followed for as long as one may. */
async function startDeployment(test: TestApp): Promise<{ project: string; log: string }> {
  const made = await test.request('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
  const { id } = (await made.json()) as { id: string }
  const commit = { sha: 'a'.repeat(40), message: 'First', author: null, committedAt: null }
  const request = { projectId: id, cause: 'first' as const, commit }
  const requested = await inTransaction(test.app.db, (tx) =>
    requestDeployment(test.app, tx, request),
  )
  return { project: id, log: `/api/deployments/${requested.deploymentId}/logs` }
}

/** A stream that does not end must not hold up the others. */
const BOUNDED = { timeout: 15_000 }

type Cut = (test: TestApp, reader: TestBrowser) => Promise<unknown>

const LOSSES: Readonly<Record<string, { cut: Cut; code: string }>> = {
  'the session ends': {
    cut: ({ app }, { sessionId }) =>
      app.db.deleteFrom('sessions').where('id', '=', sessionId).execute(),
    code: 'http.unauthorized',
  },
  'the session expires': {
    cut: ({ app }) =>
      app.db
        .updateTable('sessions')
        .set({ expires_at: toIsoTime(app.clock.now()) })
        .execute(),
    code: 'http.unauthorized',
  },
  'the person is deleted': {
    cut: ({ app }) =>
      app.db
        .updateTable('users')
        .set({ deleted_at: toIsoTime(app.clock.now()) })
        .execute(),
    code: 'http.unauthorized',
  },
  'the membership ends': {
    cut: ({ app }) => app.db.deleteFrom('organization_members').execute(),
    code: 'organization.none',
  },
  'the project gets out of reach': {
    cut: ({ app }) =>
      app.db.updateTable('organization_members').set({ project_access: 'selected' }).execute(),
    code: 'deployment.not_found',
  },
  'the organization is closed': {
    cut: ({ app }) =>
      app.db
        .updateTable('organizations')
        .set({ closed_at: toIsoTime(app.clock.now()) })
        .execute(),
    code: 'organization.none',
  },
}

describeOnBothEngines('a stream', (open) => {
  for (const [loss, { cut, code }] of Object.entries(LOSSES)) {
    it(`A-09 ends within 30 s when ${loss}`, BOUNDED, async () => {
      await using database = await open()
      const clock = createMovableClock()
      using test = testApp(database.db, { clock })
      const reader = await test.as('viewer')
      const { log } = await startDeployment(test)
      const whole = (await reader('GET', log)).text()
      await cut(test, reader)
      for (let second = 0; second < 30; second += 15) clock.move(15_000)
      const text = await whole
      assert.match(text, /^retry: /)
      assert.ok(text.includes('event: error\n'), text)
      assert.ok(text.includes(`"code":"${code}"`), text)
    })
  }

  it('A-09 ends within 30 s when its token is revoked', BOUNDED, async () => {
    await using database = await open()
    const clock = createMovableClock()
    using test = testApp(database.db, { clock })
    const token = await test.tokenOf('org-default')
    const { log } = await startDeployment(test)
    const headers = { accept: 'text/plain' }
    const path = `${log}?follow=true`
    const whole = (await test.request('GET', path, { token, headers })).text()
    await database.db
      .updateTable('api_tokens')
      .set({ revoked_at: toIsoTime(clock.now()) })
      .execute()
    clock.move(15_000)
    assert.match(await whole, /^Cannot tell who asks/)
  })

  it('A-09 goes on in no other organization than it began in', BOUNDED, async () => {
    await using database = await open()
    const { db } = database
    const clock = createMovableClock()
    using test = testApp(db, { clock })
    await addOrganization(db, 'org-other')
    const reader = await test.as('admin')
    await db
      .insertInto('organization_members')
      .values({
        id: newId(),
        organization_id: 'org-other',
        user_id: reader.userId,
        role: 'admin',
        project_access: 'all',
        joined_at: toIsoTime(clock.now() + 1),
        updated_at: toIsoTime(clock.now()),
      })
      .execute()
    // More than is sent before somebody reads.
    for (let event = 0; event < 50; event += 1) {
      await recordAuditEvent(test.app, db, {
        organizationId: 'org-default',
        by: SYSTEM,
        action: 'member.joined',
      })
    }
    const body = (await reader('GET', '/api/audit/export')).body?.getReader()
    await body?.read()
    await db
      .deleteFrom('organization_members')
      .where('organization_id', '=', 'org-default')
      .execute()
    clock.move(15_000)
    await assert.rejects(async () => {
      while ((await body?.read())?.done === false) await setImmediate()
    }, /broke off/)
  })

  it('A-09 goes on while its reader may read', BOUNDED, async () => {
    await using database = await open()
    const clock = createMovableClock()
    using test = testApp(database.db, { clock })
    const reader = await test.as('viewer')
    const { log } = await startDeployment(test)
    const response = await reader('GET', log)
    const chunks = response.body?.getReader()
    await chunks?.read()
    const next = chunks?.read()
    clock.move(15_000)
    await reader('GET', '/api/me')
    clock.move(15_000)
    const logged_at = toIsoTime(clock.now())
    const row = { sequence: 1, stream: 'output' as const, text: 'still\n', logged_at }
    const [, , , deployment_id = ''] = log.split('/')
    await database.db
      .insertInto('deployment_logs')
      .values({ ...row, deployment_id, organization_id: 'org-default' })
      .execute()
    test.app.events.emitLog(deployment_id, [row])
    assert.match(new TextDecoder().decode((await next)?.value), /event: log/)
    await chunks?.cancel()
  })

  it('is one of twenty of its reader, until it is closed', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const [one, two] = [await test.as('viewer'), await test.as('viewer')]
    const { log } = await startDeployment(test)
    const streams = []
    for (let i = 0; i < 20; i += 1) streams.push(await one('GET', log))
    const refused = await one('GET', log)
    assert.equal(refused.status, 429)
    assert.equal(refused.headers.get('retry-after'), '15')
    assert.equal(errorBody.parse(await refused.json()).code, 'http.too_many_streams')
    streams.push(await two('GET', log))
    await streams.shift()?.body?.cancel()
    streams.push(await one('GET', log))
    for (const { status } of streams) assert.equal(status, 200)
    for (const { body } of streams) await body?.cancel()
    // A stream that is refused takes none.
    for (let i = 0; i < 25; i += 1) {
      assert.equal((await one('GET', '/api/deployments/unknown/logs')).status, 404)
    }
    const again = await one('GET', log)
    assert.equal(again.status, 200)
    await again.body?.cancel()
  })
})

describe('createStreamSlots()', () => {
  it('gives a slot back once', () => {
    const slots = createStreamSlots(2)
    const release = slots.take('a')
    slots.take('a')
    release()
    release()
    slots.take('a')
    assert.throws(() => slots.take('a'), { code: 'http.too_many_streams' })
    slots.take('b')
  })
})
