import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createTestClock } from '../../test/_deployments.ts'
import { SYSTEM } from '../audit/actor.ts'
import { addApp, addLinkedProject } from './_test-hooks.ts'
import { openInbox, pushOf } from './_test-inbox.ts'
import { expireDeliveries } from './expire-deliveries.ts'

describeOnBothEngines('replayDelivery()', (open) => {
  it('reads the body again while it is kept, and has projects look again', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await addLinkedProject(db)
    await using inbox = await openInbox(db)
    const { body } = await inbox.post(pushOf())
    await inbox.settled()
    // As a version would have stored it that understood less.
    await db
      .updateTable('webhook_deliveries')
      .set({ repo_id: null, ref: null, state: 'ignored', reason: 'unexpected_payload' })
      .execute()
    const request = { organizationId: 'org-default', id: String(body['id']), by: SYSTEM }
    const replayed = await inbox.webhooks.replay(request)
    assert.equal(replayed?.delivery.ref, 'refs/heads/main')
    await inbox.settled()
    assert.equal(inbox.looks.length, 2)
    assert.equal(await inbox.webhooks.replay({ ...request, organizationId: 'x' }), undefined)
  })

  it('keeps bodies for 7 days, deliveries for 90', async () => {
    await using database = await open()
    const { db } = database
    const clock = createTestClock()
    await addApp(db)
    await using inbox = await openInbox(db, { clock })
    await inbox.post(pushOf())
    await inbox.post(pushOf(), { secret: 'wrong' })
    await inbox.settled()
    const read = () => db.selectFrom('webhook_deliveries').selectAll().execute()
    const day = 86_400_000
    await clock.advance(6 * day)
    await expireDeliveries({ db, clock })
    assert.notEqual((await read())[0]?.body_sealed, null)
    await clock.advance(2 * day)
    await expireDeliveries({ db, clock })
    const [kept] = await read()
    assert.deepEqual([kept?.body_sealed, kept?.body_hash.length], [null, 64])
    await clock.advance(83 * day)
    await expireDeliveries({ db, clock })
    assert.deepEqual(await read(), [])
  })
})
