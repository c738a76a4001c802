import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { reconcileBranch } from '../deployments/reconcile-branch.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { sourcesAt } from './_sources-at.ts'
import { addApp, addHook, addLinkedProject, REPO } from './_test-hooks.ts'
import { openInbox, pushOf } from './_test-inbox.ts'

const HEAD = 'b'.repeat(40)

describeOnBothEngines('a push', (open) => {
  it('W-02 W-23 W-42 P-08 becomes one deployment for each project, however often it is told', async () => {
    await using database = await open()
    const { db } = database
    await addApp(db)
    await addHook(db, { publicId: 'repo', kind: 'repository', repositoryId: REPO })
    const projects = [await addLinkedProject(db), await addLinkedProject(db)]
    await using inbox = await openInbox(db)
    const deps = { db, clock: systemClock, newId, log: silentLogger, sources: sourcesAt(HEAD) }
    inbox.onLook = (projectId, push) =>
      reconcileBranch(deps, projectId, { kind: 'push', ...push }, new AbortController().signal)
    const body = pushOf({ after: HEAD })
    assert.equal((await inbox.post(body)).status, 202)
    await inbox.settled()
    // Captured and sent again under other names, and by the hook of the repository.
    for (const path of ['/hooks/app-hook', '/hooks/repo', '/hooks/app-hook']) {
      assert.equal((await inbox.post(body, { path })).status, 202)
      await inbox.settled()
    }
    // An author who calls themselves something else has no say in anything: the head decides.
    const forged = pushOf({ after: 'f'.repeat(40), pusher: { name: 'admin' } })
    assert.equal((await inbox.post(forged)).status, 202)
    await inbox.settled()
    const deployments = await db
      .selectFrom('deployments')
      .select(['id', 'project_id', 'commit_sha'])
      .execute()
    assert.deepEqual(deployments.map((one) => one.project_id).toSorted(), projects.toSorted())
    for (const { commit_sha } of deployments) assert.equal(commit_sha, HEAD)
    const outcomes = await db
      .selectFrom('delivery_outcomes')
      .select(['project_id', 'outcome', 'deployment_id'])
      .orderBy('webhook_delivery_id')
      .execute()
    const kinds = outcomes.map(({ outcome }) => outcome)
    const again = Array.from({ length: 8 }, () => 'already_at_head')
    assert.deepEqual(kinds, ['deployment_requested', 'deployment_requested', ...again])
    for (const { project_id, deployment_id } of outcomes) {
      const own = deployments.find((one) => one.project_id === project_id)
      assert.equal(deployment_id, own?.id)
    }
  })
})
