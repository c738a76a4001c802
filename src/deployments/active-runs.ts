import { messageOf } from '../lib/errors.ts'
import { keepLease } from './deployment-lease.ts'
import { openDeploymentLog } from './deployment-log.ts'
import { openRun, type Run, type RunDeps } from './deployment-run.ts'
import { UNCANCELLABLE_STATES } from './deployment-state.ts'
import { endDeployment } from './end-deployment.ts'
import type { DeploymentRow } from './enter-state.ts'
import { resumeDeployment, runDeployment } from './run-deployment.ts'
import { completeSwitch } from './switch-traffic.ts'

export type RunKind = 'run' | 'resume' | 'complete'

/** The deployments that this process runs. */
export interface ActiveRuns {
  has(deploymentId: string): boolean
  start(deployment: DeploymentRow, kind: RunKind): void
  /** Ends the runs of those that were moved to `cancelling`. */
  endCancelled(): Promise<void>
  /** Lets those finish that must not be cut, for at most `patienceMs`; the others are taken up again at the next boot. */
  stop(patienceMs: number): Promise<void>
}

interface ActiveRun {
  abort: AbortController
  ended: Promise<void>
  current: () => DeploymentRow
}

class Cut extends Error {
  override readonly name = 'Cut'
}

export function createActiveRuns(deps: RunDeps, onEnd: () => void): ActiveRuns {
  const runs = new Map<string, ActiveRun>()

  return {
    has: (deploymentId) => runs.has(deploymentId),
    start: (deployment, kind) => {
      const held = { deployment }
      const abort = new AbortController()
      const ended = execute(deps, held, kind, abort)
        .catch((error: unknown) => {
          const fields = { deploymentId: deployment.id, reason: messageOf(error) }
          deps.log.error('The running of a deployment broke off', fields)
        })
        .finally(() => {
          runs.delete(deployment.id)
          onEnd()
        })
      runs.set(deployment.id, { abort, ended, current: () => held.deployment })
    },
    endCancelled: async () => {
      if (runs.size === 0) return
      const cancelling = await deps.db
        .selectFrom('deployments')
        .select('id')
        .where('id', 'in', [...runs.keys()])
        .where('state', '=', 'cancelling')
        .execute()
      for (const { id } of cancelling) {
        runs.get(id)?.abort.abort(new Error('The deployment was cancelled'))
      }
    },
    stop: (patienceMs) => stopRuns(deps, [...runs.values()], patienceMs),
  }
}

async function stopRuns(
  deps: Pick<RunDeps, 'clock'>,
  all: readonly ActiveRun[],
  patienceMs: number,
): Promise<void> {
  const mustFinish = all.filter((run) => UNCUTTABLE.has(run.current().state))
  for (const run of all) {
    if (!mustFinish.includes(run)) run.abort.abort(new Cut('The platform stops'))
  }
  const patience = new AbortController()
  const deadline = deps.clock.sleep(patienceMs, patience.signal).catch(() => {})
  await Promise.race([Promise.all(mustFinish.map((run) => run.ended)), deadline])
  patience.abort()
  for (const run of mustFinish) run.abort.abort(new Cut('The platform stops'))
  await Promise.all(all.map((run) => run.ended))
}

const UNCUTTABLE: ReadonlySet<string> = new Set(UNCANCELLABLE_STATES)

async function execute(
  deps: RunDeps,
  held: { deployment: DeploymentRow },
  kind: RunKind,
  end: AbortController,
): Promise<void> {
  const stopLease = new AbortController()
  const notify = {
    onLost: () => end.abort(new Cut('Another worker has the deployment')),
    onCancelling: () => end.abort(new Error('The deployment was cancelled')),
  }
  const lease = keepLease(deps, held.deployment, notify, stopLease.signal)
  try {
    if (kind === 'run') deps.faultPoint?.('fetching')
    await perform(deps, held, kind, end.signal)
  } finally {
    stopLease.abort()
    await lease
  }
}

async function perform(
  deps: RunDeps,
  held: { deployment: DeploymentRow },
  kind: RunKind,
  signal: AbortSignal,
): Promise<void> {
  await using log = await openDeploymentLog(deps, held.deployment)
  try {
    if (kind === 'complete')
      return await completeSwitch(deps, { deployment: held.deployment, log, signal })
    const run: Run = await openRun(deps, held, log, signal)
    await (kind === 'resume' ? resumeDeployment(deps, run) : runDeployment(deps, run))
  } catch (error) {
    // Cut off: the records stay as they are, for the one who has it now or takes it up at the next boot.
    if (signal.reason instanceof Cut) return
    const project = await deps.db
      .selectFrom('projects')
      .selectAll()
      .where('id', '=', held.deployment.project_id)
      .executeTakeFirstOrThrow()
    await endDeployment(deps, { deployment: held.deployment, project, log }, error)
  }
}
