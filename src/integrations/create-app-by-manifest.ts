import { z } from 'zod'

import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { IntegrationStatus } from '../database/integration-tables.ts'
import type { NewApp } from '../githosts/github-host.ts'
import { readMembership } from '../identity/memberships.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { replaceCredentials, sealCredential } from './app-credentials.ts'
import { prepareAppHook, readAppHook, sealHookSecret } from './app-hooks.ts'
import {
  buildManifest,
  defaultAppName,
  manifestUrl,
  type AppManifest,
  type ManifestOrder,
  type ManifestOwner,
} from './app-manifest.ts'
import { needsOfApp, type GithubAppConfig } from './github-app-config.ts'
import { readApp, type AppRow } from './github-apps.ts'
import { findGithubSite } from './github-sites.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { beginTrip, endTrip, type Traveller } from './oauth-trip.ts'
import { findDrift, isSufficient } from './permission-presets.ts'

/** GitHub's own limit for the whole trip. */
const MANIFEST_MS = 60 * 60 * 1000

interface StartManifest extends Omit<ManifestOrder, 'name'> {
  organizationId: string
  traveller: Traveller
  /** Null: made of our host's name. */
  name: string | null
  /** Null: github.com. */
  githubUrl: string | null
}

const manifestTrip = z.object({
  integrationId: z.string(),
  owner: z.union([
    z.object({ kind: z.literal('personal') }),
    z.object({ kind: z.literal('organization'), login: z.string() }),
  ]),
})

/**
 * Begins to make an App: `url` is where the browser posts `manifest` to. Its row and that of its hook exist from now on,
 * so that the hook's address is right. Throws `integration.site_not_allowed`.
 */
export async function startManifest(
  deps: IntegrationDeps,
  start: StartManifest,
): Promise<{ url: string; manifest: AppManifest }> {
  const { config: settings } = deps
  const site = findGithubSite(settings.gitHosts, start.githubUrl)
  const { organizationId, owner, preset, optionalPermissions } = start
  const name = start.name ?? defaultAppName(settings.publicBaseUrl)
  const integrationId = deps.newId()
  const hook = prepareAppHook(deps, { organizationId, integrationId, state: 'pending' })
  const config: GithubAppConfig = {
    appId: null,
    slug: '',
    clientId: '',
    ownerLogin: owner.kind === 'organization' ? owner.login : '',
    ownerType: owner.kind === 'organization' ? 'Organization' : 'User',
    ...site,
    permissionsPreset: preset,
    optionalPermissions: [...optionalPermissions],
  }
  const now = deps.clock.now()
  await inTransaction(deps.db, async (tx) => {
    // Those that were begun and never came back.
    await tx
      .deleteFrom('integrations')
      .where('organization_id', '=', organizationId)
      .where('type', '=', 'github')
      .where('status', '=', 'pending')
      .where('status_reason', '=', 'begun')
      .where('created_at', '<', toIsoTime(now - MANIFEST_MS))
      .execute()
    await tx
      .insertInto('integrations')
      .values({
        id: integrationId,
        organization_id: organizationId,
        user_id: start.traveller.userId,
        type: 'github',
        name,
        status: 'pending',
        status_reason: 'begun',
        config: { ...config },
        swept_at: null,
        last_used_at: null,
        created_at: toIsoTime(now),
        updated_at: toIsoTime(now),
      })
      .execute()
    await tx.insertInto('hooks').values(hook).execute()
  })
  const state = await beginTrip(deps, {
    purpose: 'github.manifest',
    traveller: start.traveller,
    request: { integrationId, owner },
    lifetimeMs: MANIFEST_MS,
  })
  const manifest = buildManifest(settings.publicBaseUrl, { ...start, name }, hook.public_id)
  return { url: manifestUrl(site, owner, state), manifest }
}

/** How the browser comes back: a code for the page, nothing of GitHub's. */
export type ManifestEnd =
  | { kind: 'created'; integrationId: string; reason: PendingReason | null }
  | { kind: 'refused'; error: 'state_invalid' | 'conversion_failed' | 'unavailable' }

/** Why an App that exists is not used. */
export type PendingReason = 'no_webhook_secret' | 'other_owner' | 'permissions_missing'

/**
 * Ends it: the code is traded for the App, and what comes is stored before anything is judged: GitHub tells it once. An
 * App that is not what was ordered stays `pending`, with the reason.
 */
export async function finishManifest(
  deps: IntegrationDeps,
  callback: { traveller: Traveller; state: string | null; code: string | null; by: Actor },
  signal: AbortSignal,
): Promise<ManifestEnd> {
  const { traveller, state, code } = callback
  const request = await endTrip(deps, { purpose: 'github.manifest', traveller, state })
  if (request === undefined || code === null) return { kind: 'refused', error: 'state_invalid' }
  const { integrationId, owner } = manifestTrip.parse(request)
  const row = await readApp(deps.db, integrationId)
  const organizationId = row?.organizationId ?? null
  const isWanted = organizationId !== null && (await isAdmin(deps, traveller, organizationId))
  if (row === undefined || !isWanted) {
    return { kind: 'refused', error: 'state_invalid' }
  }
  let made: NewApp
  try {
    made = await deps.github.convertManifest(row.config, code, signal)
  } catch (error) {
    if (isOperationError(error, 'github.not_found') || isOperationError(error, 'github.refused')) {
      return { kind: 'refused', error: 'conversion_failed' }
    }
    if (isOperationError(error)) return { kind: 'refused', error: 'unavailable' }
    throw error
  }
  const config = configOf(row, made)
  await storeNewApp(deps, row, { made, config, by: callback.by })
  const reason = judge(made, config, owner)
  if (reason === null) await setStatus(deps, integrationId, 'active', null)
  else await setStatus(deps, integrationId, 'pending', reason)
  return { kind: 'created', integrationId, reason }
}

async function isAdmin(
  { db }: Pick<IntegrationDeps, 'db'>,
  { userId }: Traveller,
  organizationId: string,
): Promise<boolean> {
  const membership = await readMembership(db, userId, { id: organizationId })
  return membership?.role === 'admin' || membership?.role === 'owner'
}

function configOf({ config }: AppRow, made: NewApp): GithubAppConfig {
  const { id: appId, slug, clientId, ownerLogin } = made
  return { ...config, appId, slug, clientId, ownerLogin }
}

async function storeNewApp(
  deps: IntegrationDeps,
  row: AppRow,
  { made, config, by }: { made: NewApp; config: GithubAppConfig; by: Actor },
): Promise<void> {
  const credentials = [
    sealCredential(deps, row.id, 'client_secret', made.clientSecret),
    sealCredential(deps, row.id, 'private_key', made.privateKey),
  ]
  const hook = await readAppHook(deps.db, row.id)
  const { webhookSecret } = made
  const secret = webhookSecret === null ? null : sealHookSecret(deps, hook.id, webhookSecret)
  const now = toIsoTime(deps.clock.now())
  await inTransaction(deps.db, async (tx) => {
    await tx
      .updateTable('integrations')
      .set({ name: made.name, config: { ...config }, status_reason: 'unchecked', updated_at: now })
      .where('id', '=', row.id)
      .execute()
    await replaceCredentials(tx, row.id, credentials)
    if (secret !== null) {
      await tx
        .updateTable('hooks')
        .set({ secret_sealed: secret, state: 'active', updated_at: now })
        .where('id', '=', hook.id)
        .execute()
    }
    await recordAuditEvent(deps, tx, {
      organizationId: row.organizationId,
      by,
      action: 'github_app.created',
      target: { kind: 'github_app', id: row.id, name: made.name },
      details: { app_id: made.id, owner: made.ownerLogin, preset: config.permissionsPreset },
    })
  })
}

/** What keeps the App from being used; null for nothing. */
function judge(made: NewApp, config: GithubAppConfig, owner: ManifestOwner): PendingReason | null {
  if (made.webhookSecret === null || made.webhookSecret.reveal() === '') return 'no_webhook_secret'
  const isOther = owner.kind === 'organization' && !sameLogin(owner.login, made.ownerLogin)
  if (isOther) return 'other_owner'
  return isSufficient(findDrift(needsOfApp(config), made)) ? null : 'permissions_missing'
}

function sameLogin(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

async function setStatus(
  deps: Pick<IntegrationDeps, 'db' | 'clock'>,
  id: string,
  status: IntegrationStatus,
  reason: string | null,
): Promise<void> {
  await deps.db
    .updateTable('integrations')
    .set({ status, status_reason: reason, updated_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', id)
    .execute()
}
