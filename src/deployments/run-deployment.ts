import { access } from 'node:fs/promises'
import { join } from 'node:path'

import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { environmentOf } from './configuration-snapshot.ts'
import { enter, type Run, type RunDeps } from './deployment-run.ts'
import {
  planOf,
  refOf,
  runtimeOf,
  startInstance,
  stopInstance,
  type InstanceRow,
  type ReleaseRow,
} from './instances.ts'
import { instanceLogName, releaseLogName } from './log-names.ts'
import { prepareRelease } from './prepare-release.ts'
import { startsOnly } from './queue-decisions.ts'
import { readLastLines, readTail } from './read-last-lines.ts'
import { switchTraffic } from './switch-traffic.ts'
import { waitUntilHealthy, type Health } from './wait-until-healthy.ts'

/** THE story of one deployment. Nothing of the old version is touched before the new one is healthy. */
export async function runDeployment(deps: RunDeps, run: Run): Promise<void> {
  const release = await prepareRelease(deps, run)
  await runReleaseCommand(deps, run, release)
  await enter(deps, run, 'starting')
  await serveRelease(deps, run, release)
}

/** The rest of the story for a deployment that was in `starting` or `checking` when its worker ended. */
export async function resumeDeployment(deps: RunDeps, run: Run): Promise<void> {
  const release = await readRelease(deps, run)
  await stopStarted(deps, run)
  if (run.deployment.state !== 'starting') await enter(deps, run, 'starting')
  await serveRelease(deps, run, release)
}

async function serveRelease(deps: RunDeps, run: Run, release: ReleaseRow): Promise<void> {
  const instance = await start(deps, run, release)
  await enter(deps, run, 'checking')
  await check(deps, run, release, instance)
  await switchTraffic(deps, run, instance)
}

async function readRelease(deps: RunDeps, run: Run): Promise<ReleaseRow> {
  return await deps.db
    .selectFrom('releases')
    .selectAll()
    .where('id', '=', run.deployment.release_id)
    .executeTakeFirstOrThrow()
}

/** Once per deployment, and never again: a migration that ran half must not run from its beginning. */
async function runReleaseCommand(deps: RunDeps, run: Run, release: ReleaseRow): Promise<void> {
  const plan = planOf(release)
  // What ran with this release before is not run again for a restart or on the way back.
  if (plan.release === null || startsOnly(run.deployment.cause)) return
  await enter(deps, run, 'releasing', {
    release_command_started_at: toIsoTime(deps.clock.now()),
  })
  run.log.note(`Running the release command: ${plan.release.join(' ')}`)
  const log = releaseLogName(run.deployment.id)
  const exit = await runtimeOf(deps, run.project).runReleaseCommand(
    {
      id: run.deployment.id,
      projectId: run.project.id,
      accountSlot: run.project.account_slot,
      releaseId: release.id,
      workingDirectory: '.',
      argv: plan.release,
      env: environmentOf(run.configuration, 'run'),
      port: 0,
      log,
    },
    { timeoutMs: deps.config.releaseTimeoutSeconds * 1000, signal: run.signal },
  )
  run.log.output(await readTail(join(deps.config.dataDirectory, 'logs', log), 65_536))
  await deps.spawner.removeLog(log)
  if (exit.exitCode !== 0) {
    const how = exit.exitCode === null ? `by ${exit.exitSignal ?? 'a signal'}` : exit.exitCode
    throw new OperationError(
      'deployment.release_command_failed',
      `The release command ended with ${how}; its output is in the log`,
    )
  }
  await recordReleaseCommand(deps, run)
}

/** Its success alone: from a record of its end a recovery goes on, and starts the new version. */
async function recordReleaseCommand(deps: RunDeps, run: Run): Promise<void> {
  await deps.db
    .updateTable('deployments')
    .set({ release_command_finished_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', run.deployment.id)
    .where('lease_token', '=', run.deployment.lease_token)
    .execute()
}

/** Null for a static release, which the traffic process serves itself. */
async function start(deps: RunDeps, run: Run, release: ReleaseRow): Promise<InstanceRow | null> {
  run.signal.throwIfAborted()
  await refuseCancelled(deps, run)
  const plan = planOf(release)
  if (plan.start === null) return null
  run.log.note(`Starting: ${plan.start.join(' ')}`)
  return await startInstance(deps, {
    app: run.project,
    deploymentId: run.deployment.id,
    release,
    argv: plan.start,
    env: environmentOf(run.configuration, 'run'),
    restarts: 0,
  })
}

/** A cancel that came during the release command was only noted. */
async function refuseCancelled(deps: RunDeps, run: Run): Promise<void> {
  const row = await deps.db
    .selectFrom('deployments')
    .select('cancel_requested_at')
    .where('id', '=', run.deployment.id)
    .executeTakeFirstOrThrow()
  if (row.cancel_requested_at !== null) {
    throw new OperationError('deployment.cancelled', 'The deployment was cancelled')
  }
}

async function check(
  deps: RunDeps,
  run: Run,
  release: ReleaseRow,
  instance: InstanceRow | null,
): Promise<void> {
  if (instance === null) {
    await access(join(deps.config.dataDirectory, 'releases', release.id))
    return
  }
  const path = planOf(release).healthPath
  run.log.note(`Waiting for an answer to GET ${path}`)
  const health = await waitUntilHealthy(
    { clock: deps.clock, runtime: runtimeOf(deps, run.project) },
    {
      ref: refOf(instance),
      accountSlot: run.project.account_slot,
      port: instance.port ?? 0,
      path,
      hostname: `${run.project.host_label}.${deps.config.baseDomain}`,
      timeoutMs: deps.config.healthTimeoutSeconds * 1000,
    },
    run.signal,
  )
  if (health.kind === 'healthy') return
  const lines = await readLastLines(
    join(deps.config.dataDirectory, 'logs', instanceLogName(instance.id)),
  )
  run.log.output(lines === '' ? '' : `${lines}\n`)
  throw unhealthy(health, path, deps.config.healthTimeoutSeconds, lines)
}

function unhealthy(
  health: Exclude<Health, { kind: 'healthy' }>,
  path: string,
  seconds: number,
  lines: string,
): OperationError {
  const last = lines === '' ? '' : `. Its last lines:\n${lines}`
  if (health.kind === 'timed_out') {
    return new OperationError(
      'deployment.unhealthy',
      `The app did not answer GET ${path} with 2xx or 3xx within ${seconds} s: ${health.lastAnswer}${last}`,
    )
  }
  const { exitCode, exitSignal } = health.exit
  const how = exitCode === null ? (exitSignal ?? 'an unknown code') : `code ${exitCode}`
  return new OperationError(
    'deployment.exited_early',
    `The app ended with ${how} before it was healthy: ${health.lastAnswer}${last}`,
  )
}

/** Ends the instances that this deployment started; those that took the traffic are another's business. */
export async function stopStarted(
  deps: RunDeps,
  run: { deployment: Pick<Run['deployment'], 'id'>; project: Run['project'] },
) {
  const started = await deps.db
    .selectFrom('instances')
    .selectAll()
    .where('deployment_id', '=', run.deployment.id)
    .where('host_id', '=', deps.hostId)
    .where('state', '=', 'starting')
    .execute()
  for (const instance of started) {
    await stopInstance(deps, run.project, instance, {
      graceMs: deps.config.stopGraceSeconds * 1000,
    })
  }
}
