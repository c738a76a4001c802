import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Logger } from '../lib/logger.ts'

/** A sweep: it finds by itself what there is to do, so a run that is missed or repeated does no harm. */
export interface RecurringJob {
  name: string
  everySeconds: number
  /** Must end within this; another worker may begin then. */
  leaseSeconds: number
  run(signal: AbortSignal): Promise<void>
}

interface JobDeps {
  clock: Clock
  newId: NewId
  db: Database
  log: Logger
}

/** Runs each job when it is due and nobody else runs it, one after another. Returns how many ran. */
export async function runDueJobs(
  deps: JobDeps,
  jobs: readonly RecurringJob[],
  signal: AbortSignal,
): Promise<number> {
  let ran = 0
  for (const job of jobs) {
    if (signal.aborted) break
    const token = await takeJob(deps, job)
    if (token === null) continue
    ran += 1
    const error = await runJob(deps, job, signal)
    await finishJob(deps, job, token, error)
  }
  return ran
}

/** Makes the jobs known; those that are known already keep their time. */
export async function registerJobs(deps: JobDeps, jobs: readonly RecurringJob[]): Promise<void> {
  const next_run_at = toIsoTime(deps.clock.now())
  for (const { name } of jobs) {
    await deps.db
      .insertInto('jobs')
      .values({ name, next_run_at })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
  }
}

async function takeJob(deps: JobDeps, job: RecurringJob): Promise<string | null> {
  const now = deps.clock.now()
  const token = deps.newId()
  const { numUpdatedRows } = await deps.db
    .updateTable('jobs')
    .set({
      lease_token: token,
      lease_expires_at: toIsoTime(now + job.leaseSeconds * 1000),
      next_run_at: toIsoTime(now + job.everySeconds * 1000),
      last_started_at: toIsoTime(now),
    })
    .where('name', '=', job.name)
    .where('next_run_at', '<=', toIsoTime(now))
    .where((eb) =>
      eb.or([eb('lease_token', 'is', null), eb('lease_expires_at', '<', toIsoTime(now))]),
    )
    .executeTakeFirst()
  return numUpdatedRows > 0n ? token : null
}

async function runJob(
  deps: JobDeps,
  job: RecurringJob,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    await job.run(AbortSignal.any([signal, AbortSignal.timeout(job.leaseSeconds * 1000)]))
    return null
  } catch (error) {
    deps.log.warn('A job failed', { job: job.name, reason: messageOf(error) })
    return messageOf(error)
  }
}

async function finishJob(
  deps: JobDeps,
  job: RecurringJob,
  token: string,
  error: string | null,
): Promise<void> {
  await deps.db
    .updateTable('jobs')
    .set({
      lease_token: null,
      lease_expires_at: null,
      last_finished_at: toIsoTime(deps.clock.now()),
      last_error: error,
    })
    .where('name', '=', job.name)
    .where('lease_token', '=', token)
    .execute()
}
