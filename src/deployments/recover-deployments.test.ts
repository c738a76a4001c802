import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createFakeWorld, eventually, insertProject } from '../../test/_deployments.ts'
import type { DeploymentState } from '../database/schema.ts'
import { startDeploymentEngine } from './deployment-engine.ts'
import { ACTIVE_STATES } from './deployment-state.ts'
import { reconcileBranch } from './reconcile-branch.ts'
import { planRecovery } from './recover-deployments.ts'

const signal = new AbortController().signal

describe('planRecovery()', () => {
  it('never repeats a release command', () => {
    const releasing = { state: 'releasing' } as const
    assert.equal(planRecovery({ ...releasing, releaseCommandFinished: false }), 'interrupt')
    assert.equal(planRecovery({ ...releasing, releaseCommandFinished: true }), 'resume')
  })

  it('has a step for every active state', () => {
    for (const state of ACTIVE_STATES) {
      assert.notEqual(planRecovery({ state, releaseCommandFinished: false }), null, state)
    }
  })
})

/** How it ends when the process dies at the entry of each state, and how often the release command ran by then. */
const ENDS: Record<string, { first: DeploymentState; live: number; releaseCommands: number }> = {
  fetching: { first: 'interrupted', live: 2, releaseCommands: 1 },
  building: { first: 'interrupted', live: 2, releaseCommands: 1 },
  releasing: { first: 'interrupted', live: 0, releaseCommands: 0 },
  starting: { first: 'live', live: 1, releaseCommands: 1 },
  checking: { first: 'live', live: 1, releaseCommands: 1 },
  switching: { first: 'live', live: 1, releaseCommands: 1 },
  live: { first: 'live', live: 1, releaseCommands: 1 },
}

describeOnBothEngines('recoverDeployments()', (open) => {
  for (const [state, expected] of Object.entries(ENDS)) {
    it(`D-08 resumes or ends cleanly after a death in ${state}`, async () => {
      await using database = await open()
      await using world = createFakeWorld(database.db)
      world.plan = { release: ['node', 'migrate.js'] }
      const project = await insertProject(database.db, { next_poll_at: '2999' })
      const { db } = database
      // A death as the database sees it: the worker never says anything again.
      const died = Promise.withResolvers<void>()
      let dead = false
      const mortal = db.withPlugin({
        transformQuery: ({ node }) => {
          if (dead) throw new Error('The process is dead')
          return node
        },
        transformResult: ({ result }) => Promise.resolve(result),
      })
      const faulty = {
        ...world.deps,
        db: mortal,
        faultPoint: (name: string) => {
          if (name !== state) return
          dead = true
          died.resolve()
          throw new Error('The process is dead')
        },
      }
      {
        world.head.sha = 'a'
        await reconcileBranch(world.deps, project.id, { kind: 'timer' }, signal)
        const first = startDeploymentEngine(faulty)
        await died.promise
        await first[Symbol.asyncDispose]()
      }
      await using engine = startDeploymentEngine(world.deps)
      const ended = await eventually(`#1 ${expected.first}`, async () => {
        const row = await db
          .selectFrom('deployments')
          .selectAll()
          .where('number', '=', 1)
          .executeTakeFirst()
        return row?.state === expected.first && row
      })
      if (expected.live === 2) {
        const not_before = new Date().toISOString()
        await db.updateTable('deployments').set({ not_before }).where('number', '=', 2).execute()
        engine.wake()
      }
      if (expected.live > 0) {
        await eventually(`#${expected.live} live`, async () => {
          return await db
            .selectFrom('deployments')
            .selectAll()
            .where('number', '=', expected.live)
            .where('state', '=', 'live')
            .executeTakeFirst()
        })
        assert.equal(world.running().length, 1)
      } else {
        assert.match(ended.failure_message ?? '', /release command may have run/)
        assert.equal(world.running().length, 0)
      }
      assert.equal(world.releaseCommands.length, expected.releaseCommands)
      const instances = await db
        .selectFrom('instances')
        .select('state')
        .where('state', 'in', ['starting', 'running'])
        .execute()
      assert.deepEqual(
        instances.map((row) => row.state),
        expected.live > 0 ? ['running'] : [],
      )
    })
  }

  it('adopts what runs, and starts again what died while nobody watched', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db)
    const { db } = database
    const project = await insertProject(db, { next_poll_at: '2999', id: 'project-0000' })
    world.head.sha = 'a'
    await reconcileBranch(world.deps, project.id, { kind: 'timer' }, signal)
    const runningInstance = () =>
      db.selectFrom('instances').selectAll().where('state', '=', 'running').executeTakeFirst()
    {
      await using _engine = startDeploymentEngine(world.deps)
      await eventually('a running instance', runningInstance)
    }
    const before = await runningInstance()
    assert.ok(before)
    {
      await using engine = startDeploymentEngine(world.deps)
      await engine.booted
      assert.equal((await runningInstance())?.id, before.id)
    }
    world.crash(before.id)
    await using _engine = startDeploymentEngine(world.deps)
    const after = await eventually('a new instance', async () => {
      const row = await runningInstance()
      return row?.id !== before.id && row
    })
    assert.notEqual(after.port, before.port)
  })
})
