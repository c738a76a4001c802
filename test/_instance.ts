/** An instance with sealed values, for tests of the secrets and the database. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Database } from '../src/database/database.ts'
import { newId } from '../src/lib/ids.ts'
import { verifyCanaries } from '../src/secrets/canaries.ts'
import { openKeyring, type InstanceKeyring } from '../src/secrets/open-keyring.ts'

export const clock = { now: () => Date.UTC(2026, 0, 1), sleep: () => Promise.resolve() }
const NOW = '2026-01-01T00:00:00.000Z'

export interface TestInstance extends AsyncDisposable {
  keyring: InstanceKeyring
  dataDirectory: string
}

export async function openInstance(db: Database): Promise<TestInstance> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'nanoscale-instance-'))
  const keyring = await openKeyring(
    { encryptionKeys: null, dataDirectory },
    { createMissing: true },
  )
  await verifyCanaries({ clock }, db, keyring)
  return {
    keyring,
    dataDirectory,
    [Symbol.asyncDispose]: () => {
      rmSync(dataDirectory, { recursive: true, force: true })
      return Promise.resolve()
    },
  }
}

export const textOf = (name: string) => `value of ${name}`

/** A project with this many variables and one deployment that has a sealed configuration. */
export async function addSealedValues(
  db: Database,
  keyring: InstanceKeyring,
  amount: number,
): Promise<void> {
  const projectId = await addProject(db)
  const variables = Array.from({ length: amount }, (_, index) =>
    variable(keyring, projectId, `V${index}`),
  )
  await db.insertInto('environment_variables').values(variables).execute()
  const id = newId()
  const context = {
    organizationId: 'org-default',
    table: 'deployments',
    column: 'configuration_sealed',
    rowId: id,
  }
  await db
    .insertInto('deployments')
    .values({
      ...EMPTY_DEPLOYMENT,
      id,
      project_id: projectId,
      configuration_sealed: keyring.seal('{}', context),
    })
    .execute()
}

export async function addProject(db: Database): Promise<string> {
  const id = newId()
  await db
    .insertInto('projects')
    .values({
      ...EMPTY_PROJECT,
      id,
      name: id,
      host_label: id,
      account_slot: randomBytes(3).readUIntBE(0, 3),
    })
    .execute()
  return id
}

export function variable(keyring: InstanceKeyring, projectId: string, name: string) {
  const id = newId()
  const context = {
    organizationId: 'org-default',
    table: 'environment_variables',
    column: 'value_sealed',
    rowId: id,
  }
  return {
    id,
    organization_id: 'org-default',
    project_id: projectId,
    name,
    value_sealed: keyring.seal(textOf(name), context),
    scope: 'both' as const,
    created_at: NOW,
    updated_at: NOW,
  }
}

/** Names of the variables that the keyring opens to what was sealed; throws on one that it does not open. */
export async function readVariables(db: Database, keyring: InstanceKeyring): Promise<string[]> {
  const rows = await db.selectFrom('environment_variables').selectAll().execute()
  return rows
    .filter((row) => {
      const context = {
        organizationId: row.organization_id,
        table: 'environment_variables',
        column: 'value_sealed',
        rowId: row.id,
      }
      return keyring.open(row.value_sealed, context).reveal() === textOf(row.name)
    })
    .map((row) => row.name)
}

export const EMPTY_PROJECT = {
  organization_id: 'org-default',
  source_provider: 'manual' as const,
  repo_url: 'https://git.example.com/a/b.git',
  source_repo_id: null,
  branch: 'main',
  runtime: 'process' as const,
  root_directory: null,
  install_command: null,
  build_command: null,
  start_command: null,
  release_command: null,
  output_directory: null,
  health_path: null,
  watch_paths: null,
  auto_deploy: true,
  poll_interval_seconds: 60,
  considered_head: null,
  reread_head: null,
  reread_at: null,
  source_error: null,
  source_failing_since: null,
  next_poll_at: NOW,
  reconcile_token: null,
  reconcile_expires_at: null,
  live_deployment_id: null,
  deployment_count: 0,
  deleted_at: null,
  created_at: NOW,
  updated_at: NOW,
}

export const EMPTY_DEPLOYMENT = {
  organization_id: 'org-default',
  number: 1,
  state: 'live' as const,
  cause: 'first' as const,
  branch: 'main',
  commit_sha: 'a'.repeat(40),
  commit_message: null,
  commit_author: null,
  committed_at: null,
  repeats_deployment_id: null,
  rebuild: false,
  release_id: null,
  configuration_sealed: null,
  attempt: 1,
  not_before: NOW,
  debounce_since: NOW,
  superseded_by_id: null,
  cancel_requested_at: null,
  cancel_reason: null,
  cancelled_in_a_row: 0,
  release_command_started_at: null,
  release_command_finished_at: null,
  failure_code: null,
  failure_message: null,
  lease_token: null,
  lease_expires_at: null,
  host_id: null,
  created_at: NOW,
  started_at: null,
  ended_at: null,
}
