import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { readProject } from './project-records.ts'
import { storeVariables, type VariableChange } from './store-variables.ts'
import { listVariables, type Variable, type VariableKeyring } from './variable-records.ts'

export interface VariableDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: VariableKeyring
  /** Asks for the restart of a live app with what it is given now; null when nothing of it is live. */
  requestConfigurationRestart(tx: Tx, projectId: string): Promise<{ id: string } | null>
}

export interface EnvironmentChange {
  variables: Variable[]
  /** The deployment that restarts the app, when one is needed. */
  deploymentId: string | null
}

/**
 * Sets variables of a project; those not named stay. A change that the running app sees restarts it, without a build.
 * Throws `project.not_found` and `environment.invalid`.
 */
export function setVariables(
  deps: VariableDeps,
  organizationId: string,
  projectId: string,
  changes: readonly VariableChange[],
): Promise<EnvironmentChange> {
  return inTransaction(deps.db, async (tx) => {
    await readProject(tx, organizationId, projectId)
    const stored = await storeVariables(deps, tx, { organizationId, projectId }, changes)
    const seen = stored.some(
      ({ before, scope }) =>
        scope !== 'build' || (before !== undefined && before.scope !== 'build'),
    )
    return await changeOf(deps, tx, projectId, seen)
  })
}

/** Removes a variable. Throws `project.not_found` and `environment.not_found`. */
export function unsetVariable(
  deps: VariableDeps,
  organizationId: string,
  projectId: string,
  name: string,
): Promise<EnvironmentChange> {
  return inTransaction(deps.db, async (tx) => {
    await readProject(tx, organizationId, projectId)
    const removed = await tx
      .deleteFrom('environment_variables')
      .where('project_id', '=', projectId)
      .where('name', '=', name)
      .returning('scope')
      .executeTakeFirst()
    if (removed === undefined) {
      throw new OperationError('environment.not_found', `Cannot find variable "${name}"`)
    }
    return await changeOf(deps, tx, projectId, removed.scope !== 'build')
  })
}

async function changeOf(
  deps: VariableDeps,
  tx: Tx,
  projectId: string,
  seenByApp: boolean,
): Promise<EnvironmentChange> {
  const restart = seenByApp ? await deps.requestConfigurationRestart(tx, projectId) : null
  return { variables: await listVariables(tx, projectId), deploymentId: restart?.id ?? null }
}
