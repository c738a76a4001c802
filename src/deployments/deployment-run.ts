import type { Updateable } from 'kysely'

import { inTransaction } from '../database/in-transaction.ts'
import type { DeploymentState, Schema } from '../database/schema.ts'
import { OperationError } from '../lib/errors.ts'
import { fixConfiguration, type Configuration } from './configuration-snapshot.ts'
import type { DeploymentLog } from './deployment-log.ts'
import { sourceOf, type EngineDeps, type Source } from './engine-deps.ts'
import { enterState, type DeploymentRow } from './enter-state.ts'
import type { PublishRoutes } from './publish-routes.ts'

/** What the running of deployments shares with the engine around it. */
export type RunDeps = EngineDeps & { publishRoutes: PublishRoutes }

/** One deployment while this process runs it. */
export interface Run {
  deployment: DeploymentRow
  readonly project: Schema['projects']
  readonly source: Source
  readonly configuration: Configuration
  readonly log: DeploymentLog
  /** Aborts when it is cancelled, when its lease is lost and when the platform stops. */
  readonly signal: AbortSignal
}

/** Opens what a deployment needs; the state that it is in is followed in `held`. Throws when its configuration cannot be opened. */
export async function openRun(
  deps: EngineDeps,
  held: { deployment: DeploymentRow },
  log: DeploymentLog,
  signal: AbortSignal,
): Promise<Run> {
  const { deployment } = held
  const project = await deps.db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', deployment.project_id)
    .executeTakeFirstOrThrow()
  return {
    get deployment() {
      return held.deployment
    },
    set deployment(row) {
      held.deployment = row
    },
    project,
    source: sourceOf(project),
    configuration: await fixConfiguration(deps, deployment, project),
    log,
    signal,
  }
}

/** Moves the running deployment on. Throws `deployment.lost` when it was cancelled or is another worker's. */
export async function enter(
  deps: EngineDeps,
  run: Pick<Run, 'deployment'>,
  to: DeploymentState,
  set: Updateable<Schema['deployments']> = {},
): Promise<void> {
  const { deployment } = run
  const from = deployment.state
  const entered = await inTransaction(deps.db, (tx) =>
    enterState(deps, tx, { deployment, from, to, set }),
  )
  if (!entered) throw lost(deployment, to)
  entering(deps, run, to)
}

/** What follows a move that was stored. */
export function entering(
  deps: EngineDeps,
  run: Pick<Run, 'deployment'>,
  state: DeploymentState,
): void {
  run.deployment = { ...run.deployment, state }
  deps.log.info('A deployment moved on', { deploymentId: run.deployment.id, state })
  deps.events.emitChange(run.deployment.project_id)
  deps.faultPoint?.(state)
}

export function lost(deployment: DeploymentRow, to: DeploymentState): OperationError {
  return new OperationError(
    'deployment.lost',
    `Cannot move deployment #${deployment.number} from ${deployment.state} to ${to}: it was cancelled, or another worker has it`,
  )
}
