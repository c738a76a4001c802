import { isDeepStrictEqual } from 'node:util'

import type { Database, Tx } from '../database/database.ts'
import type { IntegrationStatus } from '../database/integration-tables.ts'
import type { AppFacts, GithubApp } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import { openCredentials } from './app-credentials.ts'
import { parseAppConfig, type GithubAppConfig } from './github-app-config.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { choiceOf } from './permission-presets.ts'

/** A GitHub App as a row of `integrations`. */
export interface AppRow {
  id: string
  /** Null: the App from the environment, which every organization may use. */
  organizationId: string | null
  name: string
  status: IntegrationStatus
  statusReason: string | null
  config: GithubAppConfig
  createdAt: string
}

type LoadDeps = Pick<IntegrationDeps, 'db' | 'keyring' | 'environmentApp'>

/** The App with all that speaking for it takes. Throws `integration.not_found`, `integration.not_usable`. */
export async function loadGithubApp(deps: LoadDeps, integrationId: string): Promise<GithubApp> {
  const row = await readApp(deps.db, integrationId)
  if (row === undefined) throw integrationNotFound(integrationId)
  if (row.status !== 'active') throw notUsable(row)
  return await openGithubApp(deps, row)
}

/** The same for an App of any status, to repair it. Throws `integration.not_usable` when it has no credentials. */
export async function openGithubApp(deps: LoadDeps, row: AppRow): Promise<GithubApp> {
  const { appId, slug, clientId, apiUrl, webUrl, environment } = row.config
  if (appId === null) throw notUsable(row)
  const public_ = { integrationId: row.id, appId, slug, clientId, apiUrl, webUrl }
  if (environment === true) {
    const { environmentApp: app } = deps
    if (app === null || app.appId !== appId || app.apiUrl !== apiUrl) throw notUsable(row)
    return { ...public_, clientSecret: app.clientSecret, privateKeys: app.privateKeys }
  }
  const { clientSecret, privateKeys } = await openCredentials(deps, row.id)
  if (clientSecret === null || privateKeys.length === 0) throw notUsable(row)
  return { ...public_, clientSecret, privateKeys }
}

/** Active Apps that an organization may use: that of the environment first, then its own, the oldest first. */
export async function listUsableApps(db: Database | Tx, organizationId: string): Promise<AppRow[]> {
  const rows = await listApps(db, organizationId)
  return rows.filter(({ status }) => status === 'active')
}

/** Every App that an organization may use or is responsible for. */
export async function listApps(db: Database | Tx, organizationId: string): Promise<AppRow[]> {
  const rows = await appQuery(db)
    .where((of) =>
      of.or([of('organization_id', 'is', null), of('organization_id', '=', organizationId)]),
    )
    .orderBy('id')
    .execute()
  const apps = rows.map(toAppRow)
  const own = apps.filter((app) => app.organizationId !== null)
  const shared = apps.filter((app) => app.organizationId === null && app.status !== 'inactive')
  return [...shared, ...own]
}

/** The active App from the environment: one, or none. */
export async function listSharedApps(db: Database): Promise<AppRow[]> {
  const rows = await appQuery(db)
    .where('organization_id', 'is', null)
    .where('status', '=', 'active')
    .execute()
  return rows.map(toAppRow)
}

export async function readApp(
  db: Database | Tx,
  integrationId: string,
): Promise<AppRow | undefined> {
  const row = await appQuery(db).where('id', '=', integrationId).executeTakeFirst()
  return row === undefined ? undefined : toAppRow(row)
}

/** One that the organization may use, of any status; another's is `integration.not_found` like an unknown one. */
export async function readAppOf(
  db: Database | Tx,
  organizationId: string,
  integrationId: string,
): Promise<AppRow> {
  const row = await readApp(db, integrationId)
  const isReachable = row?.organizationId === null || row?.organizationId === organizationId
  if (row === undefined || !isReachable) throw integrationNotFound(integrationId)
  return row
}

/** What GitHub calls the App, for links to its pages, and of one from the environment what it was made for. */
export async function noteAppFacts(
  deps: Pick<IntegrationDeps, 'db' | 'clock'>,
  row: AppRow,
  facts: Pick<AppFacts, 'slug' | 'ownerLogin' | 'permissions'>,
): Promise<GithubAppConfig> {
  const { slug, ownerLogin } = facts
  const config = { ...row.config, slug, ownerLogin }
  if (config.environment === true) {
    const { preset, options } = choiceOf(facts.permissions)
    config.permissionsPreset = preset
    config.optionalPermissions = options
  }
  if (isDeepStrictEqual(config, row.config)) return config
  await deps.db
    .updateTable('integrations')
    .set({ config, updated_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', row.id)
    .execute()
  return config
}

export function integrationNotFound(id: string): OperationError {
  return new OperationError('integration.not_found', `Cannot find the GitHub App "${id}"`)
}

function notUsable({ name, status, statusReason }: AppRow): OperationError {
  const why = statusReason === null ? '' : ` (${statusReason})`
  return new OperationError(
    'integration.not_usable',
    `Cannot use the GitHub App "${name}": it is ${status}${why}`,
  )
}

function appQuery(db: Database | Tx) {
  return db
    .selectFrom('integrations')
    .select(['id', 'organization_id', 'name', 'status', 'status_reason', 'config', 'created_at'])
    .where('type', '=', 'github')
}

type StoredApp = NonNullable<Awaited<ReturnType<ReturnType<typeof appQuery>['executeTakeFirst']>>>

function toAppRow(row: StoredApp): AppRow {
  return {
    id: row.id,
    organizationId: row.organization_id,
    name: row.name,
    status: row.status,
    statusReason: row.status_reason,
    config: parseAppConfig(row.config),
    createdAt: row.created_at,
  }
}
