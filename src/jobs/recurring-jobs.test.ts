import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createTestClock } from '../../test/_deployments.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { registerJobs, runDueJobs } from './recurring-jobs.ts'

const signal = new AbortController().signal

describeOnBothEngines('runDueJobs()', (open) => {
  it('runs a job when it is due, once, whoever asks', async () => {
    await using database = await open()
    const clock = createTestClock()
    const deps = { clock, newId, db: database.db, log: silentLogger }
    let runs = 0
    const run = () => Promise.resolve(void (runs += 1))
    const jobs = [{ name: 'sweep', everySeconds: 60, leaseSeconds: 30, run }]
    await registerJobs(deps, jobs)
    await registerJobs(deps, jobs)
    await Promise.all([runDueJobs(deps, jobs, signal), runDueJobs(deps, jobs, signal)])
    assert.equal(runs, 1)
    await clock.advance(59_000)
    assert.equal(await runDueJobs(deps, jobs, signal), 0)
    await clock.advance(1000)
    assert.equal(await runDueJobs(deps, jobs, signal), 1)
  })

  it('keeps the error of a job that failed, and goes on with the others', async () => {
    await using database = await open()
    const deps = { clock: createTestClock(), newId, db: database.db, log: silentLogger }
    const rejects = () => Promise.reject(new Error('no space left'))
    const jobs = [
      { name: 'fails', everySeconds: 60, leaseSeconds: 30, run: rejects },
      { name: 'works', everySeconds: 60, leaseSeconds: 30, run: () => Promise.resolve() },
    ]
    await registerJobs(deps, jobs)
    assert.equal(await runDueJobs(deps, jobs, signal), 2)
    const rows = await database.db.selectFrom('jobs').selectAll().orderBy('name').execute()
    assert.deepEqual(
      rows.map((row) => [row.last_error, row.lease_token]),
      [
        ['no space left', null],
        [null, null],
      ],
    )
  })
})
