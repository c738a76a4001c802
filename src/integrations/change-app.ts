import { createPrivateKey } from 'node:crypto'

import type { Actor } from '../audit/actor.ts'
import type { AuditAction } from '../audit/audit-actions.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, OperationError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import { openCredentials, replaceCredentials, sealCredential } from './app-credentials.ts'
import { openHookSecret, randomHookValue, readAppHook, replaceHookSecret } from './app-hooks.ts'
import { needsOfApp } from './github-app-config.ts'
import { noteAppFacts, openGithubApp, readAppOf, type AppRow } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { findDrift, isSufficient } from './permission-presets.ts'

interface Change {
  organizationId: string
  integrationId: string
  by: Actor
}

/**
 * A further private key of an App, which GitHub must know; it is used first from now on. The one before it is kept until
 * the next. Throws `integration.key_refused`, `integration.not_changeable`, GitHub's failures.
 */
export async function addAppKey(
  deps: IntegrationDeps,
  { organizationId, integrationId, by }: Change,
  privateKey: Secret,
  signal: AbortSignal,
): Promise<void> {
  const row = await readChangeable(deps.db, organizationId, integrationId)
  if (!isRsaKey(privateKey)) throw keyRefused('it is no RSA private key in PEM form')
  const app = { ...(await openGithubApp(deps, row)), privateKeys: [privateKey] }
  try {
    const facts = await deps.github.readApp(app, signal)
    if (facts.id !== app.appId) throw keyRefused('it is the key of another App')
  } catch (error) {
    if (isOperationError(error, 'github.refused') || isOperationError(error, 'github.not_found')) {
      throw keyRefused('GitHub does not know it as a key of this App')
    }
    throw error
  }
  const { privateKeys } = await openCredentials(deps, row.id)
  const [newest] = privateKeys
  if (newest?.reveal().trim() === privateKey.reveal().trim()) return
  const rows = [sealCredential(deps, row.id, 'private_key', privateKey)]
  if (newest !== undefined) {
    rows.push(sealCredential(deps, row.id, 'previous_private_key', newest))
  }
  await inTransaction(deps.db, async (tx) => {
    await replaceCredentials(tx, row.id, rows)
    await audit(deps, tx, { row, by, action: 'github_app.key_added' })
  })
}

/** `PRIVATE` and what follows decide; nothing of the key is in an error. */
function isRsaKey(key: Secret): boolean {
  try {
    return createPrivateKey(key.reveal()).asymmetricKeyType === 'rsa'
  } catch {
    return false
  }
}

function keyRefused(why: string): OperationError {
  return new OperationError('integration.key_refused', `Cannot use this private key: ${why}`, {
    details: { private_key: [why] },
  })
}

/**
 * Gives the App's hook a new secret: first both are good here, then GitHub is told. The old one stays good for as long
 * as GitHub may deliver again. Throws GitHub's failures; the old secret is the current one then.
 */
export async function rotateWebhookSecret(
  deps: IntegrationDeps,
  { organizationId, integrationId, by }: Change,
  signal: AbortSignal,
): Promise<void> {
  const row = await readChangeable(deps.db, organizationId, integrationId)
  const app = await openGithubApp(deps, row)
  const hook = await readAppHook(deps.db, row.id)
  const old = openHookSecret(deps, hook)
  const secret = new Secret(randomHookValue())
  if (!(await replaceHookSecret(deps, hook, secret))) {
    throw new OperationError(
      'github.busy',
      `Cannot give the GitHub App "${row.name}" a new webhook secret: somebody else does so now`,
      { retryAfterSeconds: 10 },
    )
  }
  try {
    await deps.github.changeHookConfig(app, { secret }, signal)
  } catch (error) {
    // It may have worked all the same: the new one stays good beside the old one.
    await replaceHookSecret(deps, await readAppHook(deps.db, row.id), old)
    throw error
  }
  const now = toIsoTime(deps.clock.now())
  await inTransaction(deps.db, async (tx) => {
    await tx
      .updateTable('hooks')
      .set({ state: 'active', updated_at: now })
      .where('id', '=', hook.id)
      .execute()
    await audit(deps, tx, { row, by, action: 'github_app.webhook_secret_rotated' })
  })
}

/**
 * Looks at a pending App again: active when nothing is missing any more. Throws GitHub's failures. An App of another
 * owner than was meant stays pending: it is to be removed.
 */
export async function recheckApp(
  deps: IntegrationDeps,
  { organizationId, integrationId, by }: Change,
  signal: AbortSignal,
): Promise<AppRow> {
  const row = await readAppOf(deps.db, organizationId, integrationId)
  const facts = await deps.github.readApp(await openGithubApp(deps, row), signal)
  const config = await noteAppFacts(deps, row, facts)
  const hook = await readAppHook(deps.db, row.id)
  const isReady =
    row.status === 'pending' &&
    row.statusReason !== 'other_owner' &&
    hook.state === 'active' &&
    isSufficient(findDrift(needsOfApp(config), facts))
  if (!isReady) return { ...row, config }
  const now = toIsoTime(deps.clock.now())
  await inTransaction(deps.db, async (tx) => {
    await tx
      .updateTable('integrations')
      .set({ status: 'active', status_reason: null, updated_at: now })
      .where('id', '=', row.id)
      .where('status', '=', 'pending')
      .execute()
    await audit(deps, tx, { row, by, action: 'github_app.activated' })
  })
  return { ...row, config, status: 'active', statusReason: null }
}

/**
 * Forgets an App with its keys, links and installations; at GitHub its owner deletes it. Throws `integration.in_use`
 * while projects deploy through it, and `integration.not_changeable` for that of the environment.
 */
export async function removeApp(
  deps: Pick<IntegrationDeps, 'db' | 'clock' | 'newId'>,
  { organizationId, integrationId, by }: Change,
): Promise<void> {
  const row = await readChangeable(deps.db, organizationId, integrationId)
  await inTransaction(deps.db, async (tx) => {
    const links = await tx
      .selectFrom('project_github_links')
      .select('id')
      .where('integration_id', '=', row.id)
      .execute()
    if (links.length > 0) {
      throw new OperationError(
        'integration.in_use',
        `Cannot remove the GitHub App "${row.name}": projects deploy through it (${links.length})`,
      )
    }
    await audit(deps, tx, { row, by, action: 'github_app.removed' })
    await tx.deleteFrom('integrations').where('id', '=', row.id).execute()
  })
}

async function readChangeable(
  db: Database,
  organizationId: string,
  integrationId: string,
): Promise<AppRow> {
  const row = await readAppOf(db, organizationId, integrationId)
  if (row.organizationId !== null) return row
  throw new OperationError(
    'integration.not_changeable',
    `Cannot change the GitHub App "${row.name}": the operator changes it in the environment of NanoScale`,
  )
}

async function audit(
  deps: Pick<IntegrationDeps, 'clock' | 'newId'>,
  tx: Tx,
  { row, by, action }: { row: AppRow; by: Actor; action: AuditAction },
): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId: row.organizationId,
    by,
    action,
    target: { kind: 'github_app', id: row.id, name: row.name },
    details: { app_id: row.config.appId },
  })
}
