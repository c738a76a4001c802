import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createFakeWorld, createTestClock, insertProject } from '../../test/_deployments.ts'
import type { Database } from '../database/database.ts'
import { OperationError } from '../lib/errors.ts'
import { reconcileBranch } from './reconcile-branch.ts'

const signal = new AbortController().signal
const TIMER = { kind: 'timer' } as const

async function readProject(db: Database, id: string) {
  return await db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}

async function readDeployments(db: Database) {
  return await db.selectFrom('deployments').selectAll().orderBy('number').execute()
}

/** Lets the pending deployment become the live one, as the engine would. */
async function makeAllLive(db: Database, projectId: string) {
  const newest = (await readDeployments(db)).at(-1)
  assert.ok(newest)
  const state = 'live'
  await db.updateTable('deployments').set({ state }).where('id', '=', newest.id).execute()
  await db
    .insertInto('deployment_transitions')
    .values({
      id: `live ${newest.id}`,
      organization_id: newest.organization_id,
      deployment_id: newest.id,
      state,
      entered_at: newest.created_at,
    })
    .execute()
  await db
    .updateTable('projects')
    .set({ live_deployment_id: newest.id })
    .where('id', '=', projectId)
    .execute()
}

describeOnBothEngines('reconcileBranch()', (open) => {
  it('deploys the first head whatever the settings, and an unchanged one never again', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    const project = await insertProject(database.db, { auto_deploy: false })
    world.head.sha = 'a'
    const first = await reconcileBranch(world.deps, project.id, { kind: 'person' }, signal)
    assert.equal(first.kind === 'decided' && first.reason, 'first_deployment')
    const again = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.deepEqual(again, { kind: 'unchanged', head: 'a' })
    const deployments = await readDeployments(database.db)
    assert.deepEqual(
      deployments.map((row) => [row.number, row.cause, row.commit_sha, row.state]),
      [[1, 'first', 'a', 'queued']],
    )
  })

  it('P-07 makes exactly one deployment when two processes look at once', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using one = createFakeWorld(database.db, { clock, hostId: 'one' })
    await using two = createFakeWorld(database.db, { clock, hostId: 'two' })
    const project = await insertProject(database.db)
    one.head.sha = 'a'
    two.head.sha = 'a'
    const push = { kind: 'push', before: null, after: 'a' } as const
    const outcomes = await Promise.all([
      reconcileBranch(one.deps, project.id, push, signal),
      reconcileBranch(two.deps, project.id, push, signal),
    ])
    assert.equal(outcomes.filter((outcome) => outcome.kind === 'decided').length, 1)
    assert.equal((await readDeployments(database.db)).length, 1)
    const decisions = await database.db.selectFrom('branch_decisions').selectAll().execute()
    assert.equal(decisions.length, 1)
  })

  it('asks for another look when it meets a busy turn', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using world = createFakeWorld(database.db, { clock })
    const project = await insertProject(database.db)
    world.head.sha = 'a'
    const reading = Promise.withResolvers<{ kind: 'found'; sha: string }>()
    const slow = { ...world.deps.sources, readBranchHead: () => reading.promise }
    const first = reconcileBranch({ ...world.deps, sources: slow }, project.id, TIMER, signal)
    while ((await readProject(database.db, project.id)).reconcile_token === null) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const second = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(second.kind, 'busy')
    reading.resolve({ kind: 'found', sha: 'a' })
    await first
    const after = await readProject(database.db, project.id)
    assert.equal(Date.parse(after.next_poll_at), clock.now())
    assert.equal(after.reconcile_token, null)
  })

  it('takes the turn of a worker that said nothing for a minute', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using world = createFakeWorld(database.db, { clock })
    const project = await insertProject(database.db, {
      reconcile_token: 'dead',
      reconcile_expires_at: new Date(clock.now() + 60_000).toISOString(),
    })
    world.head.sha = 'a'
    assert.equal((await reconcileBranch(world.deps, project.id, TIMER, signal)).kind, 'busy')
    await clock.advance(60_001)
    assert.equal((await reconcileBranch(world.deps, project.id, TIMER, signal)).kind, 'decided')
  })

  it('P-04 D-20 needs a second reading of a head of earlier times, ten seconds later', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using world = createFakeWorld(database.db, { clock })
    const project = await insertProject(database.db)
    for (const sha of ['a', 'b']) {
      world.head.sha = sha
      await reconcileBranch(world.deps, project.id, TIMER, signal)
    }
    world.head.sha = 'a'
    const first = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(first.kind, 'awaiting_second_reading')
    await clock.advance(5000)
    const early = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(early.kind, 'awaiting_second_reading')
    await clock.advance(5000)
    const second = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(second.kind, 'decided')
    assert.equal((await readProject(database.db, project.id)).considered_head, 'a')
  })

  it('D-20 forgets a lagging replica: head B stays when the old A was read once', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using world = createFakeWorld(database.db, { clock })
    const project = await insertProject(database.db)
    for (const sha of ['a', 'b', 'a', 'b']) {
      world.head.sha = sha
      await reconcileBranch(world.deps, project.id, TIMER, signal)
    }
    const after = await readProject(database.db, project.id)
    assert.equal(after.considered_head, 'b')
    assert.equal(after.reread_head, null)
    assert.equal((await readDeployments(database.db)).at(-1)?.commit_sha, 'b')
  })

  it('D-20 asks a host that still shows the commit before the push again', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using world = createFakeWorld(database.db, { clock })
    const project = await insertProject(database.db)
    world.head.sha = 'a'
    await reconcileBranch(world.deps, project.id, TIMER, signal)
    const push = { kind: 'push', before: 'a', after: 'b' } as const
    const outcome = reconcileBranch(world.deps, project.id, push, signal)
    const settled = new AbortController()
    void outcome.finally(() => settled.abort())
    for (let step = 0; !settled.signal.aborted; step++) {
      if (step === 20) world.head.sha = 'b'
      await clock.advance(200)
    }
    const decided = await outcome
    assert.equal(decided.kind === 'decided' && decided.head, 'b')
  })

  it('D-19 leaves a skipped head skipped', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    const project = await insertProject(database.db)
    world.head.sha = 'a'
    await reconcileBranch(world.deps, project.id, TIMER, signal)
    await makeAllLive(database.db, project.id)
    world.head.sha = 'b'
    world.messages.set('b', 'docs [skip ci]')
    const skipped = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(skipped.kind === 'decided' && skipped.reason, 'skip_marker')
    const after = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(after.kind, 'unchanged')
    assert.equal((await readDeployments(database.db)).length, 1)
  })

  it('D-19 leaves a rollback alone when only marked or unwatched commits follow it', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    const { db } = database
    const project = await insertProject(db, { watch_paths: ['src/**'] })
    const history = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const since = (from: string, to: string) =>
      history.slice(history.indexOf(from) + 1, history.indexOf(to) + 1)
    const sources = {
      ...world.deps.sources,
      commitMessagesSince: (_source: unknown, from: string, to: string) =>
        Promise.resolve(since(from, to).map((sha) => world.messages.get(sha) ?? sha)),
      changedPathsBetween: (_source: unknown, from: string, to: string) =>
        Promise.resolve(
          since(from, to).map((sha) => (/[abe]/.test(sha) ? `src/${sha}` : `docs/${sha}`)),
        ),
    }
    const look = async (sha: string) => {
      world.head.sha = sha
      return await reconcileBranch({ ...world.deps, sources }, project.id, TIMER, signal)
    }
    for (const sha of ['a', 'b']) {
      await look(sha)
      await makeAllLive(db, project.id)
    }
    // As a rollback does: the live version changes, the head that was decided about does not.
    const [first] = await readDeployments(db)
    await db
      .updateTable('projects')
      .set({ live_deployment_id: first?.id ?? null })
      .execute()
    world.messages.set('c', 'typo [skip ci]')
    const marked = await look('c')
    assert.equal(marked.kind === 'decided' && marked.reason, 'skip_marker')
    const unwatched = await look('d')
    assert.equal(unwatched.kind === 'decided' && unwatched.reason, 'watch_paths')
    const pushed = await look('e')
    assert.equal(pushed.kind === 'decided' && pushed.reason, 'new_head')
    world.messages.set('f', 'typo [skip ci]')
    const behind = await look('f')
    assert.equal(behind.kind === 'decided' && behind.reason, 'skip_marker')
    // The deployment of e never served: what it brought is made up for.
    const next = await look('g')
    assert.equal(next.kind === 'decided' && next.reason, 'new_head')
  })

  it('records a branch that is gone or cannot be read, and asks more and more rarely', async () => {
    await using database = await open()
    const clock = createTestClock()
    await using world = createFakeWorld(database.db, { clock })
    const project = await insertProject(database.db)
    const gone = await reconcileBranch(world.deps, project.id, TIMER, signal)
    assert.equal(gone.kind, 'branch_gone')
    world.head.error = new OperationError('source.unreachable', 'Cannot reach the host')
    const delays: number[] = []
    for (let look = 0; look < 5; look++) {
      await reconcileBranch(world.deps, project.id, TIMER, signal)
      const { next_poll_at, source_error } = await readProject(database.db, project.id)
      assert.match(source_error ?? '', /Cannot reach the host/)
      delays.push(Date.parse(next_poll_at) - clock.now())
      await clock.advance(Date.parse(next_poll_at) - clock.now())
    }
    assert.deepEqual(delays, [15_000, 15_000, 30_000, 60_000, 120_000])
    delete world.head.error
    world.head.sha = 'a'
    await reconcileBranch(world.deps, project.id, TIMER, signal)
    const after = await readProject(database.db, project.id)
    assert.equal(after.source_error, null)
    assert.equal(after.source_failing_since, null)
  })

  it('replaces the pending deployment by a newer head', async () => {
    await using database = await open()
    await using world = createFakeWorld(database.db, { clock: createTestClock() })
    const project = await insertProject(database.db)
    for (const sha of ['a', 'b', 'c']) {
      world.head.sha = sha
      await reconcileBranch(world.deps, project.id, TIMER, signal)
    }
    const [first, second, third] = await readDeployments(database.db)
    assert.deepEqual(
      [first?.state, second?.state, third?.state],
      ['superseded', 'superseded', 'queued'],
    )
    assert.equal(first?.superseded_by_id, second?.id)
    assert.equal(third?.debounce_since, first?.debounce_since)
  })
})
