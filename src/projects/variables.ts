import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { readProject, type Project } from './project-records.ts'
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
  by: Actor,
): Promise<EnvironmentChange> {
  return inTransaction(deps.db, async (tx) => {
    const project = await readProject(tx, organizationId, projectId)
    const stored = await storeVariables(deps, tx, { organizationId, projectId }, changes)
    const seen = stored.some(
      ({ before, scope }) =>
        scope !== 'build' || (before !== undefined && before.scope !== 'build'),
    )
    const change = await changeOf(deps, tx, projectId, seen)
    const set = stored.map(({ name }) => name)
    if (set.length > 0) await recordChange(deps, tx, { project, by, change, names: { set } })
    return change
  })
}

/** Removes a variable. Throws `project.not_found` and `environment.not_found`. */
export function unsetVariable(
  deps: VariableDeps,
  organizationId: string,
  projectId: string,
  name: string,
  by: Actor,
): Promise<EnvironmentChange> {
  return inTransaction(deps.db, async (tx) => {
    const project = await readProject(tx, organizationId, projectId)
    const removed = await tx
      .deleteFrom('environment_variables')
      .where('project_id', '=', projectId)
      .where('name', '=', name)
      .returning('scope')
      .executeTakeFirst()
    if (removed === undefined) {
      throw new OperationError('environment.not_found', `Cannot find variable "${name}"`)
    }
    const change = await changeOf(deps, tx, projectId, removed.scope !== 'build')
    await recordChange(deps, tx, { project, by, change, names: { removed: [name] } })
    return change
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

async function recordChange(
  deps: VariableDeps,
  tx: Tx,
  {
    project,
    by,
    change,
    names,
  }: {
    project: Project
    by: Actor
    change: EnvironmentChange
    /** Names alone: values are secret. */
    names: { set: string[] } | { removed: string[] }
  },
): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId: project.organization_id,
    by,
    action: 'environment.changed',
    target: { kind: 'project', id: project.id, name: project.name },
    details: { ...names, deployment_id: change.deploymentId },
  })
}
