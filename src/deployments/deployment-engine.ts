import { startLoop, type Loop } from '../jobs/loop.ts'
import { registerJobs, runDueJobs, type RecurringJob } from '../jobs/recurring-jobs.ts'
import { messageOf } from '../lib/errors.ts'
import { createActiveRuns, type ActiveRuns } from './active-runs.ts'
import { adoptInstances } from './adopt-instances.ts'
import { claimDueDeployments } from './claim-deployment.ts'
import { cleanReleases } from './clean-releases.ts'
import type { RunDeps } from './deployment-run.ts'
import type { EngineDeps } from './engine-deps.ts'
import { createBranchPolling } from './poll-branches.ts'
import { createRoutePublisher, type PublishRoutes, type RoutePublisher } from './publish-routes.ts'
import { recoverDeployments } from './recover-deployments.ts'
import { createRestarts, type Restarts } from './restart-instances.ts'
import { createRetirement } from './retire-instances.ts'
import { watchInstances } from './supervise-instances.ts'

/** Nothing waits for these: what happens in this process wakes the loops at once. */
const QUEUE_PAUSE_MS = 500
const POLL_PAUSE_MS = 1000
const INSTANCE_PAUSE_MS = 1000
const JOB_PAUSE_MS = 10_000
const RECOVER_EVERY_MS = 15_000
const BOOT_RETRY_MS = 1000
/** A release command or a switch that is under way may finish within this time when the platform stops. */
const STOP_PATIENCE_MS = 10_000

export interface DeploymentEngine extends AsyncDisposable {
  /** Call after a transaction that requested, cancelled or deleted something. */
  wake(): void
  /** Call after a change of domains or projects. */
  publishRoutes: PublishRoutes
  /** Resolves when what the last process left is recovered and the routes are published; ready need not wait for it. */
  readonly booted: Promise<void>
}

/** Starts everything that happens by itself: queue, deployments, polling, supervision, recovery and sweeps. */
export function startDeploymentEngine(
  engineDeps: EngineDeps,
  moreJobs: (deps: RunDeps) => readonly RecurringJob[] = () => [],
): DeploymentEngine {
  const publisher = createRoutePublisher(engineDeps)
  const deps: RunDeps = { ...engineDeps, publishRoutes: publisher.publish }
  const end = new AbortController()
  const loops: Loop[] = []
  const wake = () => {
    for (const loop of loops) loop.wake()
  }
  const runs = createActiveRuns(deps, wake)
  const booted = boot(deps, runs, end.signal)
  booted.catch(() => {})
  const restarts = createRestarts(deps, wake)
  const waking = [
    startQueue(deps, runs, booted),
    superviseInstances(deps, { wake, booted, restarts, publisher }, end.signal),
  ]
  loops.push(...waking)
  const polling = createBranchPolling(deps, wake, () => looks.wake())
  const looks = startLoop(deps, { name: 'polling', pauseMs: POLL_PAUSE_MS }, async () => {
    await booted
    await polling.pollDue(end.signal)
  })
  const others = [looks, startSweeps(deps, moreJobs(deps), booted)]
  return {
    wake,
    publishRoutes: deps.publishRoutes,
    booted,
    [Symbol.asyncDispose]: async () => {
      end.abort(new Error('The platform stops'))
      await Promise.all([...waking, ...others].map((loop) => loop[Symbol.asyncDispose]()))
      await Promise.all([polling.settled(), restarts.settled()])
      await runs.stop(STOP_PATIENCE_MS)
    },
  }
}

/** Nothing else begins before this is done, so what is in its way (the spawner, the database) is waited for. */
async function boot(deps: RunDeps, runs: ActiveRuns, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await recover(deps, runs, true)
      await adoptInstances(deps)
      break
    } catch (error) {
      if (signal.aborted) throw error
      deps.log.error('What ran before is not recovered yet', { reason: messageOf(error) })
      await deps.clock.sleep(BOOT_RETRY_MS, signal)
    }
  }
  // The traffic process serves its last table meanwhile, and gets this one when it is back.
  await deps.publishRoutes().catch(() => {})
}

async function recover(deps: RunDeps, runs: ActiveRuns, boot: boolean): Promise<void> {
  if (boot) await deps.endBuilds()
  const found = await recoverDeployments(deps, { boot, isOurs: (id) => runs.has(id) })
  for (const { deployment, step } of found) runs.start(deployment, step)
}

function startQueue(deps: RunDeps, runs: ActiveRuns, booted: Promise<void>): Loop {
  let recoveredAt = deps.clock.now()
  return startLoop(deps, { name: 'queue', pauseMs: QUEUE_PAUSE_MS }, async () => {
    await booted
    if (deps.clock.now() - recoveredAt >= RECOVER_EVERY_MS) {
      recoveredAt = deps.clock.now()
      await recover(deps, runs, false)
    }
    for (const outcome of await claimDueDeployments(deps)) {
      if (outcome.kind === 'started') runs.start(outcome.deployment, 'run')
      if (outcome.kind === 'cancelled_active') deps.faultPoint?.('cancelling')
    }
    await runs.endCancelled()
  })
}

function superviseInstances(
  deps: RunDeps,
  parts: { wake: () => void; booted: Promise<void>; restarts: Restarts; publisher: RoutePublisher },
  signal: AbortSignal,
): Loop {
  const watch = watchInstances(deps, parts.wake, signal)
  const retire = createRetirement(deps)
  return startLoop(deps, { name: 'instances', pauseMs: INSTANCE_PAUSE_MS }, async () => {
    await parts.booted
    await watch.refresh()
    await retire()
    await parts.restarts.startDue(signal)
    // Not awaited: a traffic process that is away is waited for, and a crash must be seen meanwhile.
    if (parts.publisher.isBehind()) void parts.publisher.publish().catch(() => {})
  })
}

function startSweeps(
  deps: RunDeps,
  moreJobs: readonly RecurringJob[],
  booted: Promise<void>,
): Loop {
  const clean = {
    name: 'clean-releases',
    everySeconds: 600,
    leaseSeconds: 600,
    run: (signal: AbortSignal) => cleanReleases(deps, signal),
  }
  const jobs = [clean, ...moreJobs]
  return startLoop(deps, { name: 'jobs', pauseMs: JOB_PAUSE_MS }, async (signal) => {
    await booted
    await registerJobs(deps, jobs)
    await runDueJobs(deps, jobs, signal)
  })
}
