/** Hooks, linked projects and deliveries of tests, as they are in the database after a host has called. */
import type { Insertable } from 'kysely'

import { insertProject } from '../../test/_deployments.ts'
import type { Database } from '../database/database.ts'
import type { HookKind, Schema } from '../database/schema.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'

export const SECRET = "It's a Secret to Everybody"
export const INTEGRATION = 'integration-1'
export const APP_ID = 4711
export const INSTALLATION = 77
export const REPO = 1296269

export const keyring = createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(7) }])

/** An App with a hook that is named `app-hook`, installed once. Returns the hook's id. */
export async function addApp(
  db: Database,
  options: { organizationId?: string | null; id?: string; publicId?: string } = {},
): Promise<string> {
  const { organizationId = 'org-default', id = INTEGRATION, publicId = 'app-hook' } = options
  const now = toIsoTime(systemClock.now())
  const times = { created_at: now, updated_at: now }
  await db
    .insertInto('integrations')
    .values({
      id,
      organization_id: organizationId,
      user_id: null,
      type: 'github',
      name: 'App',
      status: 'active',
      status_reason: null,
      config: { appId: APP_ID },
      swept_at: null,
      last_used_at: null,
      ...times,
    })
    .execute()
  const hookId = await addHook(db, { organizationId, publicId, kind: 'app', integrationId: id })
  await addInstallation(db, { integrationId: id, organizationId })
  return hookId
}

async function addInstallation(
  db: Database,
  { integrationId, organizationId }: { integrationId: string; organizationId: string | null },
): Promise<void> {
  const now = toIsoTime(systemClock.now())
  await db
    .insertInto('github_installations')
    .values({
      id: newId(),
      integration_id: integrationId,
      installation_id: INSTALLATION,
      account_id: 1,
      account_login: 'acme',
      account_type: 'Organization',
      target_type: 'Organization',
      target_id: 1,
      repository_selection: 'all',
      permissions: {},
      events: [],
      html_url: 'https://github.example.com',
      suspended_at: null,
      organization_id: organizationId,
      local_user_id: null,
      removed_at: null,
      synced_at: null,
      sync_error: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
}

export async function addHook(
  db: Database,
  options: {
    publicId: string
    kind: HookKind
    organizationId?: string | null
    integrationId?: string
    repositoryId?: number
    secret?: string
    previous?: { secret: string; until: string }
  },
): Promise<string> {
  const id = newId()
  const now = toIsoTime(systemClock.now())
  const seal = (column: string, value: string) =>
    keyring.seal(value, { organizationId: INSTANCE, table: 'hooks', column, rowId: id })
  const { previous, organizationId = 'org-default' } = options
  await db
    .insertInto('hooks')
    .values({
      id,
      organization_id: organizationId,
      public_id: options.publicId,
      kind: options.kind,
      integration_id: options.integrationId ?? INTEGRATION,
      repository_id: options.repositoryId ?? null,
      host_hook_id: null,
      secret_sealed: seal('secret_sealed', options.secret ?? SECRET),
      previous_secret_sealed:
        previous === undefined ? null : seal('previous_secret_sealed', previous.secret),
      previous_secret_until: previous?.until ?? null,
      state: 'active',
      error_message: null,
      last_delivery_at: null,
      swept_at: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
  return id
}

/** A project that deploys a branch of the repository. Returns its id. */
export async function addLinkedProject(
  db: Database,
  options: {
    branch?: string
    repoId?: number
    organizationId?: string
    active?: boolean
    integrationId?: string
  } = {},
): Promise<string> {
  const { branch = 'main', organizationId = 'org-default', active = true } = options
  const { id, created_at } = await insertProject(db, { organization_id: organizationId, branch })
  await db
    .insertInto('project_github_links')
    .values({
      id: newId(),
      organization_id: organizationId,
      project_id: id,
      integration_id: options.integrationId ?? INTEGRATION,
      installation_id: INSTALLATION,
      repo_id: options.repoId ?? REPO,
      repo_node_id: 'R_1',
      owner_login: 'acme',
      repo_name: 'shop',
      full_name: 'acme/shop',
      default_branch: 'main',
      selected_branch: branch,
      webhook_id: null,
      hook_id: null,
      linked_by_user_id: null,
      active,
      inactive_reason: null,
      created_at,
      updated_at: created_at,
    })
    .execute()
  return id
}

/** A delivery of an App of its own; of the App of the environment when the organization is null. Returns its id. */
export async function addDelivery(
  db: Database,
  organizationId: string | null,
  given: Partial<Insertable<Schema['webhook_deliveries']>> = {},
): Promise<string> {
  const hookId = await addApp(db, { organizationId, id: newId(), publicId: newId() })
  const delivery = { ...finishedPush(organizationId, hookId), ...given }
  await db.insertInto('webhook_deliveries').values(delivery).execute()
  return delivery.id
}

function finishedPush(organizationId: string | null, hookId: string) {
  const now = toIsoTime(systemClock.now())
  return {
    id: newId(),
    organization_id: organizationId,
    hook_id: hookId,
    provider: 'github',
    delivery_id: newId(),
    event_type: 'push',
    action: null,
    installation_id: 1,
    repo_id: 2,
    ref: 'refs/heads/main',
    before_commit: 'a'.repeat(40),
    head_commit: 'b'.repeat(40),
    facts: {
      target_id: 1,
      signed_with: 'current' as const,
      guid_conflict: false,
      sender_id: 3,
      sender_login: 'ada',
      problem: null,
    },
    body_hash: 'c'.repeat(64),
    body_bytes: 2,
    body_sealed: null,
    state: 'processed' as const,
    reason: null,
    handled: true,
    status_code: 202,
    error_message: null,
    attempts: 1,
    next_attempt_at: null,
    lease_token: null,
    lease_expires_at: null,
    created_at: now,
    processed_at: now,
  }
}
