import type { Database } from '../database/database.ts'
import type { Schema, VariableScope } from '../database/schema.ts'
import { OperationError } from '../lib/errors.ts'
import { openVariables } from '../projects/variable-records.ts'
import type { Keyring, SealContext } from '../secrets/keyring.ts'
import type { Environment, ProjectSettings } from './engine-deps.ts'
import type { DeploymentRow } from './enter-state.ts'

type ProjectRow = Schema['projects']

/** Settings and variables of one moment: what a rollback restores together with the release. */
export interface Configuration {
  settings: ProjectSettings
  variables: readonly { name: string; value: string; scope: VariableScope }[]
}

interface SnapshotDeps {
  db: Database
  keyring: Pick<Keyring, 'seal' | 'open'>
  redactor: { add(value: string): void }
}

/**
 * The configuration that a deployment uses, sealed into its row the first time: the project's of now, or of then for
 * one that repeats another. Throws what `keyring.open` throws: a value that cannot be opened is never an empty one.
 */
export async function fixConfiguration(
  deps: SnapshotDeps,
  deployment: DeploymentRow,
  project: ProjectRow,
): Promise<Configuration> {
  const kept = await readSnapshot(deps, deployment.id)
  const configuration = kept ?? (await takeSnapshot(deps, deployment, project))
  for (const { value } of configuration.variables) deps.redactor.add(value)
  if (kept === null) {
    await deps.db
      .updateTable('deployments')
      .set({
        configuration_sealed: deps.keyring.seal(
          JSON.stringify(configuration),
          contextOf(deployment),
        ),
      })
      .where('id', '=', deployment.id)
      .execute()
  }
  return configuration
}

/** The configuration that a deployment used; null when it never came so far. */
export async function readSnapshot(
  deps: Pick<SnapshotDeps, 'db' | 'keyring'>,
  deploymentId: string,
): Promise<Configuration | null> {
  const row = await deps.db
    .selectFrom('deployments')
    .select(['id', 'organization_id', 'configuration_sealed'])
    .where('id', '=', deploymentId)
    .executeTakeFirst()
  if (!row?.configuration_sealed) return null
  const opened = deps.keyring.open(row.configuration_sealed, contextOf(row))
  return JSON.parse(opened.reveal()) as Configuration
}

async function takeSnapshot(
  deps: SnapshotDeps,
  deployment: DeploymentRow,
  project: ProjectRow,
): Promise<Configuration> {
  if (deployment.repeats_deployment_id !== null) {
    const repeated = await readSnapshot(deps, deployment.repeats_deployment_id)
    if (repeated !== null) return repeated
    throw new OperationError(
      'deployment.configuration_unknown',
      'Cannot repeat the deployment: it ended before its configuration was fixed',
    )
  }
  const variables = await openVariables(deps.keyring, deps.db, project.id)
  return {
    settings: settingsOf(project),
    variables: variables.map(({ name, value, scope }) => ({ name, value: value.reveal(), scope })),
  }
}

function settingsOf(project: ProjectRow): ProjectSettings {
  return {
    root_directory: project.root_directory,
    install_command: project.install_command,
    build_command: project.build_command,
    start_command: project.start_command,
    release_command: project.release_command,
    output_directory: project.output_directory,
    health_path: project.health_path,
    watch_paths: project.watch_paths,
  }
}

/** The variables that a build or a running app sees. */
export function environmentOf(configuration: Configuration, scope: 'build' | 'run'): Environment {
  const seen = configuration.variables.filter((v) => v.scope === scope || v.scope === 'both')
  return Object.fromEntries(seen.map(({ name, value }) => [name, value]))
}

/** True when both lead to the same build of the same commit; what only a running app sees may differ. */
export function buildsAlike(a: Configuration, b: Configuration): boolean {
  return JSON.stringify(buildInputOf(a)) === JSON.stringify(buildInputOf(b))
}

function buildInputOf(configuration: Configuration) {
  const { watch_paths: _, ...settings } = configuration.settings
  const variables = Object.entries(environmentOf(configuration, 'build')).sort(([a], [b]) =>
    a < b ? -1 : 1,
  )
  return [Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)), variables]
}

function contextOf(row: Pick<DeploymentRow, 'id' | 'organization_id'>): SealContext {
  return {
    organizationId: row.organization_id,
    table: 'deployments',
    column: 'configuration_sealed',
    rowId: row.id,
  }
}
