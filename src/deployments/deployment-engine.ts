import { startLoop, type Loop } from '../jobs/loop.ts'
import { registerJobs, runDueJobs, type RecurringJob } from '../jobs/recurring-jobs.ts'
import { createActiveRuns, type ActiveRuns } from './active-runs.ts'
import { adoptInstances } from './adopt-instances.ts'
import { claimDueDeployments } from './claim-deployment.ts'
import { cleanReleases } from './clean-releases.ts'
import type { RunDeps } from './deployment-run.ts'
import type { EngineDeps } from './engine-deps.ts'
import { createBranchPolling } from './poll-branches.ts'
import { createRoutePublisher, type PublishRoutes } from './publish-routes.ts'
import { recoverDeployments } from './recover-deployments.ts'
import { restartDueInstances } from './restart-instances.ts'
import { createRetirement } from './retire-instances.ts'
import { watchInstances } from './supervise-instances.ts'

/** Nothing waits for these: what happens in this process wakes the loops at once. */
const QUEUE_PAUSE_MS = 500
const POLL_PAUSE_MS = 1000
const INSTANCE_PAUSE_MS = 1000
const JOB_PAUSE_MS = 10_000
const RECOVER_EVERY_MS = 15_000
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
  const deps: RunDeps = { ...engineDeps, publishRoutes: createRoutePublisher(engineDeps) }
  const end = new AbortController()
  const loops: Loop[] = []
  const wake = () => {
    for (const loop of loops) loop.wake()
  }
  const runs = createActiveRuns(deps, wake)
  const booted = boot(deps, runs)
  booted.catch(() => {})
  const waking = [
    startQueue(deps, runs, booted),
    ...superviseInstances(deps, wake, booted, end.signal),
  ]
  loops.push(...waking)
  const polling = createBranchPolling(deps, wake)
  const others = [
    startLoop(deps, { name: 'polling', pauseMs: POLL_PAUSE_MS }, async () => {
      await booted
      await polling.pollDue(end.signal)
    }),
    startSweeps(deps, moreJobs(deps), booted),
  ]
  return {
    wake,
    publishRoutes: deps.publishRoutes,
    booted,
    [Symbol.asyncDispose]: async () => {
      end.abort(new Error('The platform stops'))
      await Promise.all([...waking, ...others].map((loop) => loop[Symbol.asyncDispose]()))
      await polling.settled()
      await runs.stop(STOP_PATIENCE_MS)
    },
  }
}

async function boot(deps: RunDeps, runs: ActiveRuns): Promise<void> {
  await recover(deps, runs, true)
  await adoptInstances(deps)
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
  wake: () => void,
  booted: Promise<void>,
  signal: AbortSignal,
): Loop[] {
  const watch = watchInstances(deps, wake, signal)
  const retire = createRetirement(deps)
  const supervision = { name: 'instances', pauseMs: INSTANCE_PAUSE_MS }
  const restarts = { name: 'restarts', pauseMs: INSTANCE_PAUSE_MS }
  return [
    startLoop(deps, supervision, async () => {
      await booted
      await watch.refresh()
      await retire()
    }),
    // Apart: a restart may take as long as a health check, and a crash must be seen meanwhile.
    startLoop(deps, restarts, async (loopSignal) => {
      await booted
      await restartDueInstances(deps, wake, loopSignal)
    }),
  ]
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
