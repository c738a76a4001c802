import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createTestClock, eventually } from '../../test/_deployments.ts'
import type { Database } from '../database/database.ts'
import { newId } from '../lib/ids.ts'
import {
  addApp,
  addDelivery,
  addHook,
  addLinkedProject,
  APP_ID,
  INSTALLATION,
  REPO,
} from './_test-hooks.ts'
import { openInbox, pushOf, type PostOptions, type TestInbox } from './_test-inbox.ts'
import { claimDeliveries } from './claim-deliveries.ts'

const NO_FACTS = {
  target_id: null,
  signed_with: 'current',
  guid_conflict: false,
  sender_id: null,
  sender_login: null,
  problem: null,
} as const

async function addOther(db: Database): Promise<string> {
  const id = 'org-other'
  const created_at = '2026-01-01T00:00:00.000Z'
  const row = { id, slug: id, name: id, created_at, updated_at: created_at }
  await db.insertInto('organizations').values(row).execute()
  return id
}

/** Why the delivery of this body was ignored; null when it was not. */
async function reasonFor(
  inbox: TestInbox,
  body: string,
  options?: PostOptions,
): Promise<string | null> {
  const { status, body: answer } = await inbox.post(body, options)
  assert.equal(status, 202)
  await inbox.settled()
  const row = await inbox.db
    .selectFrom('webhook_deliveries')
    .select(['state', 'reason', 'handled'])
    .where('id', '=', String(answer['id']))
    .executeTakeFirstOrThrow()
  assert.equal(row.handled, row.state === 'processed')
  return row.reason
}

async function suspicions(db: Database) {
  const events = await db
    .selectFrom('audit_events')
    .select(['details', 'organization_id', 'outcome', 'actor_kind'])
    .where('action', '=', 'delivery.suspicious')
    .orderBy('id')
    .execute()
  return events.map(({ details, organization_id, outcome, actor_kind }) => [
    details['reason'],
    organization_id,
    outcome,
    actor_kind,
  ])
}

describeOnBothEngines('processDelivery()', (open) => {
  it('P-02 P-03 has nobody look at tags, other branches or look-alikes', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db, { branch: 'main' })
    await addLinkedProject(database.db, { branch: 'caf\u00e9' })
    await using inbox = await openInbox(database.db)
    const cases: [string, string][] = [
      ['refs/tags/main', 'tag'],
      ['refs/heads/refs/heads/main', 'branch_mismatch'],
      ['refs/heads/Main', 'branch_mismatch'],
      ['refs/heads/ｍain', 'branch_mismatch'],
      ['refs/heads/main ', 'branch_mismatch'],
      ['refs/heads/cafe\u0301', 'branch_mismatch'],
      ['refs/heads/', 'branch_mismatch'],
      ['refs/notes/main', 'not_a_branch'],
      ['main', 'not_a_branch'],
    ]
    for (const [ref, reason] of cases) {
      assert.equal(await reasonFor(inbox, pushOf({ ref })), reason, ref)
    }
    assert.equal(await reasonFor(inbox, pushOf({ repository: { id: 9 } })), 'no_project')
    assert.deepEqual(inbox.looks, [])
    assert.equal(await reasonFor(inbox, pushOf({ ref: 'refs/heads/caf\u00e9' })), null)
    assert.equal(inbox.looks.length, 1)
  })

  it('P-01 has projects of a deleted branch look, and says why nothing else follows', async () => {
    await using database = await open()
    await addApp(database.db)
    const project_id = await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    inbox.onLook = () => Promise.resolve({ kind: 'branch_gone' })
    const body = pushOf({ deleted: true, after: '0'.repeat(40), head_commit: null })
    assert.equal(await reasonFor(inbox, body), 'deleted')
    const outcomes = await database.db.selectFrom('delivery_outcomes').selectAll().execute()
    assert.deepEqual(
      outcomes.map((one) => [one.project_id, one.outcome, one.deployment_id]),
      [[project_id, 'branch_gone', null]],
    )
    assert.equal(inbox.looks[0]?.push.after, null)
  })

  it('P-08 has each project of a branch look, whatever becomes of the others', async () => {
    await using database = await open()
    const { db } = database
    const clock = createTestClock()
    await addApp(db)
    const projects = []
    for (let count = 0; count < 6; count += 1) projects.push(await addLinkedProject(db))
    await addLinkedProject(db, { active: false })
    const [bad = ''] = projects
    await using inbox = await openInbox(db, { clock })
    inbox.onLook = (projectId) =>
      projectId === bad
        ? Promise.reject(new Error('no space left'))
        : Promise.resolve({ kind: 'unchanged', head: 'b'.repeat(40) })
    await inbox.post(pushOf())
    await inbox.settled()
    const looked = () => inbox.looks.map(({ projectId }) => projectId)
    assert.deepEqual(looked().toSorted(), projects.toSorted())
    const waits = [5000, 30_000, 120_000, 600_000]
    for (const [index, ms] of waits.entries()) {
      await clock.advance(ms)
      await eventually('another attempt', async () => {
        // The loop may have begun to wait only now.
        await clock.advance(1000)
        const row = await db.selectFrom('webhook_deliveries').select('attempts').executeTakeFirst()
        return row?.attempts === index + 2
      })
    }
    // Only the one that failed looked again.
    assert.deepEqual(looked().slice(6), [bad, bad, bad, bad])
    const row = await db.selectFrom('webhook_deliveries').selectAll().executeTakeFirstOrThrow()
    assert.deepEqual(
      [row.state, row.attempts, row.error_message, row.next_attempt_at],
      ['failed', 5, 'Not every project could look at the branch', null],
    )
    const events = await db
      .selectFrom('audit_events')
      .select(['target_id', 'outcome', 'details'])
      .where('action', '=', 'delivery.processed')
      .execute()
    assert.equal(events.length, 1)
    assert.deepEqual([events[0]?.target_id, events[0]?.outcome], [bad, 'failed'])
    const outcomes = await db.selectFrom('delivery_outcomes').select('outcome').execute()
    assert.deepEqual(outcomes.map(({ outcome }) => outcome).toSorted(), [
      ...Array.from({ length: 5 }, () => 'already_at_head'),
      'failed',
    ])
  })

  it('W-42 has the project look for the hook of the App and for that of the repository', async () => {
    await using database = await open()
    await addApp(database.db)
    await addHook(database.db, { publicId: 'repo', kind: 'repository', repositoryId: REPO })
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    assert.equal(await reasonFor(inbox, pushOf()), null)
    const own = pushOf({ installation: undefined })
    assert.equal(await reasonFor(inbox, own, { path: '/hooks/repo' }), null)
    assert.equal(inbox.looks.length, 2)
  })

  it('W-25 hears nothing of other repositories from the hook of one', async () => {
    await using database = await open()
    await addApp(database.db)
    await addHook(database.db, { publicId: 'repo', kind: 'repository', repositoryId: REPO + 1 })
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    assert.equal(await reasonFor(inbox, pushOf(), { path: '/hooks/repo' }), 'repo_mismatch')
    assert.deepEqual(inbox.looks, [])
    const expected = [['repo_mismatch', 'org-default', 'refused', 'provider']]
    assert.deepEqual(await suspicions(database.db), expected)
  })

  it('W-26 W-28 hears nothing of other Apps and of installations that are not ours', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    const headers = { 'x-github-hook-installation-target-id': String(APP_ID + 1) }
    assert.equal(await reasonFor(inbox, pushOf(), { headers }), 'foreign_app')
    const foreign = pushOf({ installation: { id: 78 } })
    assert.equal(await reasonFor(inbox, foreign), 'unknown_installation')
    assert.equal(await reasonFor(inbox, pushOf({ installation: null })), 'unknown_installation')
    assert.deepEqual(inbox.looks, [])
    assert.equal((await suspicions(database.db)).length, 3)
  })

  it("never looks at projects of another organization's App", async () => {
    await using database = await open()
    const { db } = database
    const organizationId = await addOther(db)
    await addApp(db)
    await addApp(db, { organizationId, id: 'theirs', publicId: 'theirs' })
    await addLinkedProject(db, { organizationId, integrationId: 'theirs' })
    // A link through the App of the first, which cannot be: the hook's organization bounds it all the same.
    await addLinkedProject(db, { organizationId })
    await using inbox = await openInbox(db)
    assert.equal(await reasonFor(inbox, pushOf()), 'no_project')
    assert.deepEqual(inbox.looks, [])
  })

  it('W-27 passes on lifecycle events of Apps, and none that a repository makes up', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await addHook(db, { publicId: 'repo', kind: 'repository', repositoryId: REPO })
    await using inbox = await openInbox(db)
    const sender = { id: 5, login: 'ada' }
    const deleted = JSON.stringify({ action: 'deleted', installation: { id: 77 }, sender })
    const event = 'installation'
    assert.equal(await reasonFor(inbox, deleted, { event }), null)
    const path = '/hooks/repo'
    assert.equal(await reasonFor(inbox, deleted, { event, path }), 'unsupported_event')
    assert.equal(await reasonFor(inbox, pushOf(), { event }), 'unexpected_payload')
    assert.equal(await reasonFor(inbox, '{"action":"x"}', { event: 'issues' }), 'unsupported_event')
    assert.equal(await reasonFor(inbox, '{"zen":"x"}', { event: 'ping' }), 'ping')
    assert.deepEqual(inbox.events, [
      {
        integrationId: 'integration-1',
        event,
        action: 'deleted',
        installationId: 77,
        repoId: null,
        senderId: 5,
        senderLogin: 'ada',
      },
    ])
    inbox.onEvent = () => Promise.resolve({ kind: 'ignored', reason: 'unknown_installation' })
    assert.equal(await reasonFor(inbox, deleted, { event }), 'unknown_installation')
    assert.deepEqual((await suspicions(db)).length, 1)
  })

  it('W-20 takes up what a killed process left when its lease is over', async () => {
    await using database = await open()
    const { db } = database
    const clock = createTestClock()
    await addApp(db)
    await addLinkedProject(db)
    const hook = await db.selectFrom('hooks').select('id').executeTakeFirstOrThrow()
    const received = { state: 'received', attempts: 0, next_attempt_at: '', repo_id: REPO } as const
    const target = { hook_id: hook.id, installation_id: INSTALLATION }
    await addDelivery(db, 'org-default', { ...received, ...target, facts: NO_FACTS })
    // What a process does that is killed then.
    assert.equal((await claimDeliveries({ db, clock, newId }, 9)).length, 1)
    assert.equal((await claimDeliveries({ db, clock, newId }, 9)).length, 0)
    await using inbox = await openInbox(db, { clock })
    await clock.advance(29_000)
    assert.equal(inbox.looks.length, 0)
    await eventually('a look', async () => {
      await clock.advance(1000)
      return inbox.looks.length === 1
    })
    await inbox.settled()
    const row = await db.selectFrom('webhook_deliveries').selectAll().executeTakeFirstOrThrow()
    assert.deepEqual([row.state, row.attempts, row.lease_token], ['processed', 1, null])
  })

  it('W-38 writes each hostile name as one escaped line', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    inbox.onLook = () => Promise.reject(new Error(`\n\u001b[31m\u2028${'x'.repeat(10_000)}`))
    const sender = { id: 5, login: 'a\nb\u001b[31m' }
    await inbox.post(pushOf({ ref: 'refs/heads/\u2028', sender }))
    await inbox.post(pushOf({ sender }))
    await inbox.settled()
    for (const line of inbox.lines) {
      assert.ok(line.length < 3000 && !line.trimEnd().includes('\n') && !line.includes('\u001b'))
    }
    const rows = await database.db.selectFrom('webhook_deliveries').select('facts').execute()
    for (const { facts } of rows) assert.equal(facts.sender_login, null)
  })
})
