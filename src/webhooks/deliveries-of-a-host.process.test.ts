import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { eventually } from '../../test/_deployments.ts'
import { ask, seedApp, seedWorld, toJwt } from '../../test/fake-github/_client.ts'
import { startFakeGithub } from '../../test/fake-github/start-fake-github.ts'
import { addApp, addLinkedProject, INTEGRATION, SECRET } from './_test-hooks.ts'
import { openInbox } from './_test-inbox.ts'

describeOnBothEngines('deliveries of a host', (open) => {
  it('W-02 W-21 are taken as it sends them, and once more when it sends them again', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await using inbox = await openInbox(db)
    await using fake = await startFakeGithub()
    const repository = await seedWorld(fake)
    const hook = { url: `http://127.0.0.1:${inbox.port}/hooks/app-hook`, secret: SECRET }
    const app = await seedApp(fake, { hook })
    await db
      .updateTable('integrations')
      .set({ config: { appId: app.id } })
      .where('id', '=', INTEGRATION)
      .execute()
    const installation = fake.installApp(app, 'acme', { repositories: ['shop'] })
    await db.updateTable('github_installations').set({ installation_id: installation.id }).execute()
    await fake.settled()
    await inbox.settled()
    const created = inbox.events.find(({ event }) => event === 'installation')
    assert.deepEqual([created?.action, created?.installationId], ['created', installation.id])
    const projectId = await addLinkedProject(db, { repoId: repository.id })
    const before = await fake.head('acme/shop')
    const after = await fake.push('acme/shop', { files: { a: 'b' } })
    await fake.settled()
    await inbox.settled()
    assert.deepEqual(inbox.looks, [{ projectId, push: { before, after } }])
    const auth = toJwt(app)
    const { body } = await ask(fake, 'GET /app/hook/deliveries', { auth })
    const sent = (body as { id: number; event: string; guid: string; status_code: number }[]).find(
      ({ event }) => event === 'push',
    )
    assert.equal(sent?.status_code, 202)
    const redeliver = async () => {
      const line = `POST /app/hook/deliveries/${sent?.id}/attempts`
      assert.equal((await ask(fake, line, { auth })).status, 202)
      await fake.settled()
      await inbox.settled()
    }
    await redeliver()
    assert.equal(inbox.looks.length, 1)
    await db
      .updateTable('webhook_deliveries')
      .set({ state: 'failed' })
      .where('delivery_id', '=', sent?.guid ?? '')
      .execute()
    await redeliver()
    await eventually('another look', () => Promise.resolve(inbox.looks.length === 2))
    fake.uninstall(installation)
    await fake.settled()
    await inbox.settled()
    assert.equal(inbox.events.at(-1)?.action, 'deleted')
  })
})
