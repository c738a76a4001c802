import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { insertProject } from '../../test/_deployments.ts'
import type { Database } from '../database/database.ts'
import { newId } from '../lib/ids.ts'
import { addDelivery } from '../webhooks/_test-hooks.ts'
import { addOrganization, testApp } from './_test-app.ts'

interface View {
  id: string
  outcomes: { project_id: string }[]
  timeline: { step: string; message: string; project_id: string | null }[]
}

interface Page {
  items: View[]
  next_cursor: string | null
}

async function addOutcome(db: Database, deliveryId: string, organizationId: string) {
  const { id } = await insertProject(db, { organization_id: organizationId })
  await db
    .insertInto('delivery_outcomes')
    .values({
      id: newId(),
      organization_id: organizationId,
      webhook_delivery_id: deliveryId,
      project_id: id,
      outcome: 'skipped',
      reason: 'skip_marker',
      head: 'b'.repeat(40),
      deployment_id: null,
      created_at: '2026-01-01T00:00:00.000Z',
    })
    .execute()
  return id
}

describeOnBothEngines('/api/deliveries', (open) => {
  it('lists what concerns the organization, page by page, and nothing else', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    await addOrganization(db, 'org-other')
    const own = await addDelivery(db, 'org-default')
    const shared = await addDelivery(db, null)
    const ours = await addOutcome(db, shared, 'org-default')
    await addOutcome(db, shared, 'org-other')
    const foreign = await addDelivery(db, 'org-other')
    await addDelivery(db, null)
    const failed = await addDelivery(db, 'org-default', { state: 'failed' })
    const admin = await test.as('admin')
    const list = async (query: string): Promise<Page> => {
      const answer = await admin('GET', `/api/deliveries${query}`)
      assert.equal(answer.status, 200, await answer.clone().text())
      return (await answer.json()) as Page
    }
    const idsOf = ({ items }: Page) => items.map(({ id }) => id)
    const all = await list('')
    assert.deepEqual(idsOf(all), [failed, shared, own])
    assert.deepEqual(
      all.items[1]?.outcomes.map(({ project_id }) => project_id),
      [ours],
    )
    const first = await list('?limit=2')
    assert.deepEqual([idsOf(first), first.next_cursor], [[failed, shared], shared])
    const second = await list(`?limit=2&cursor=${first.next_cursor}`)
    assert.deepEqual([idsOf(second), second.next_cursor], [[own], null])
    assert.deepEqual(idsOf(await list('?state=failed')), [failed])
    assert.deepEqual(idsOf(await list(`?project_id=${ours}`)), [shared])
    assert.deepEqual(idsOf(await list('?project_id=unknown')), [])
    for (const method of ['GET', 'POST']) {
      const path = `/api/deliveries/${foreign}${method === 'POST' ? '/replay' : ''}`
      assert.equal((await admin(method, path)).status, 404)
    }
  })

  it('tells a delivery from its arrival to what each project made of it', async () => {
    await using database = await open()
    const { db } = database
    using test = testApp(db)
    const id = await addDelivery(db, null)
    const projectId = await addOutcome(db, id, 'org-default')
    const admin = await test.as('admin')
    const { timeline } = (await (await admin('GET', `/api/deliveries/${id}`)).json()) as View
    assert.deepEqual(
      timeline.map(({ step, message, project_id }) => [step, message, project_id]),
      [
        ['received', 'Received and stored', null],
        ['verified', 'Signed with the current secret of the hook', null],
        ['matched', 'A project deploys refs/heads/main', projectId],
        ['decided', 'skipped: skip_marker', projectId],
      ],
    )
    const ignored = await addDelivery(db, 'org-default', { state: 'ignored', reason: 'tag' })
    const answer = await admin('GET', `/api/deliveries/${ignored}`)
    const last = ((await answer.json()) as View).timeline.at(-1)
    assert.deepEqual([last?.step, last?.message], ['ignored', 'A tag was pushed'])
    const member = await test.as('member')
    assert.equal((await member('GET', `/api/deliveries/${ignored}`)).status, 403)
    assert.equal((await admin('POST', `/api/deliveries/${ignored}/replay`)).status, 202)
  })
})
