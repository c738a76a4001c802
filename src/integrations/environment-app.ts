import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { HookState } from '../database/webhook-tables.ts'
import type { GithubSite } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import {
  openHookSecret,
  prepareAppHook,
  readAppHook,
  replaceHookSecret,
  sealHookSecret,
} from './app-hooks.ts'
import { parseAppConfig, type GithubAppConfig } from './github-app-config.ts'
import type { IntegrationDeps } from './integration-deps.ts'

/** The App that the operator configured. Its credentials stay in the environment. */
export interface EnvironmentApp extends GithubSite {
  appId: number
  clientId: string
  clientSecret: Secret
  /** The newest first. */
  privateKeys: readonly Secret[]
  webhookSecret: Secret
}

/** Fixed, so that it can be entered at GitHub before anything is known here. */
export const ENVIRONMENT_HOOK_PATH = '/api/integrations/github/webhook'

type Deps = Pick<IntegrationDeps, 'db' | 'clock' | 'newId' | 'keyring' | 'environmentApp'>

/**
 * Keeps the row of the App from the environment, and that of its hook, in step with the configuration; to be called at
 * each start. An App that is configured no more is inactive, with all that hangs on it kept.
 */
export async function ensureEnvironmentApp(deps: Deps): Promise<void> {
  const { db, environmentApp: app } = deps
  const rows = await db
    .selectFrom('integrations')
    .select(['id', 'config'])
    .where('type', '=', 'github')
    .where('organization_id', 'is', null)
    .execute()
  const known = rows.find(({ config }) => app !== null && isSameApp(parseAppConfig(config), app))
  const now = toIsoTime(deps.clock.now())
  for (const { id } of rows) {
    if (id === known?.id) continue
    const reason = 'not_configured'
    await db
      .updateTable('integrations')
      .set({ status: 'inactive', status_reason: reason, updated_at: now })
      .where('id', '=', id)
      .where('status', '<>', 'inactive')
      .execute()
    await setHookState(db, id, 'removed')
  }
  if (app === null) return
  const config = configOf(app, known === undefined ? null : parseAppConfig(known.config))
  if (known === undefined) return await insertApp(deps, app, config)
  await db
    .updateTable('integrations')
    .set({ config: { ...config }, status: 'active', status_reason: null, updated_at: now })
    .where('id', '=', known.id)
    .execute()
  await setHookState(db, known.id, 'active')
  await keepHookSecret(deps, known.id, app.webhookSecret)
}

function isSameApp(config: GithubAppConfig, app: EnvironmentApp): boolean {
  return config.appId === app.appId && config.apiUrl === app.apiUrl
}

/** What GitHub told about it earlier stays. */
function configOf(app: EnvironmentApp, known: GithubAppConfig | null): GithubAppConfig {
  return {
    appId: app.appId,
    slug: known?.slug ?? '',
    clientId: app.clientId,
    ownerLogin: known?.ownerLogin ?? '',
    ownerType: known?.ownerType ?? null,
    apiUrl: app.apiUrl,
    webUrl: app.webUrl,
    // What its maker chose shows in what it was granted.
    permissionsPreset: known?.permissionsPreset ?? 'least',
    optionalPermissions: known?.optionalPermissions ?? [],
    environment: true,
  }
}

async function insertApp(deps: Deps, app: EnvironmentApp, config: GithubAppConfig): Promise<void> {
  const id = deps.newId()
  const now = toIsoTime(deps.clock.now())
  const hook = prepareAppHook(deps, { organizationId: null, integrationId: id, state: 'active' })
  const row = { ...hook, secret_sealed: sealHookSecret(deps, hook.id, app.webhookSecret) }
  await inTransaction(deps.db, async (tx) => {
    await tx
      .insertInto('integrations')
      .values({
        id,
        organization_id: null,
        user_id: null,
        type: 'github',
        name: `GitHub App ${app.appId}`,
        status: 'active',
        status_reason: null,
        config: { ...config },
        swept_at: null,
        last_used_at: null,
        created_at: now,
        updated_at: now,
      })
      .execute()
    await tx.insertInto('hooks').values(row).execute()
  })
}

/** The fixed address is that of one App at a time. */
async function setHookState(db: Database, integrationId: string, state: HookState): Promise<void> {
  await db
    .updateTable('hooks')
    .set({ state })
    .where('integration_id', '=', integrationId)
    .where('kind', '=', 'app')
    .execute()
}

/** A secret that was changed in the environment replaces the old one, which redeliveries may still be signed with. */
async function keepHookSecret(deps: Deps, integrationId: string, secret: Secret): Promise<void> {
  const hook = await readAppHook(deps.db, integrationId)
  if (openHookSecret(deps, hook).reveal() === secret.reveal()) return
  await replaceHookSecret(deps, hook, secret)
}
