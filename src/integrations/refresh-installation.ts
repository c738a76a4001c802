import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { GithubApp, InstallationFacts } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { loadGithubApp } from './github-apps.ts'
import { columnsOf, readInstallationRow } from './installation-records.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { deactivateInstallation, reactivateInstallation } from './project-links.ts'
import { removeUnclaimed } from './unclaimed-installations.ts'

type Deps = Pick<
  IntegrationDeps,
  'db' | 'clock' | 'newId' | 'keyring' | 'github' | 'environmentApp'
>

/** What GitHub says of an installation now, stored where it is known here. */
export type RefreshedInstallation =
  | { kind: 'gone' }
  | {
      kind: 'present'
      facts: InstallationFacts
      isKnown: boolean
      /** Projects that pushes deploy again: what was pushed meanwhile has to be looked for. */
      resumed: string[]
    }

/**
 * Reads an installation at GitHub, as the App, and stores what it says, with what follows for the projects. Throws what
 * asking GitHub throws.
 */
export async function refreshInstallation(
  deps: Deps,
  integrationId: string,
  installationId: number,
  signal: AbortSignal,
): Promise<RefreshedInstallation> {
  const app = await loadGithubApp(deps, integrationId)
  const facts = await readFacts(deps, app, installationId, signal)
  if (facts === null) {
    deps.github.noteInstallation(app, installationId, 'removed')
    await markInstallationGone(deps, integrationId, installationId)
    return { kind: 'gone' }
  }
  const state = facts.suspendedAt === null ? 'active' : 'suspended'
  deps.github.noteInstallation(app, installationId, state)
  return { kind: 'present', facts, ...(await storeInstallationFacts(deps, integrationId, facts)) }
}

async function readFacts(
  { github }: Pick<Deps, 'github'>,
  app: GithubApp,
  installationId: number,
  signal: AbortSignal,
): Promise<InstallationFacts | null> {
  try {
    const facts = await github.readInstallation(app, installationId, signal)
    return facts.appId === app.appId ? facts : null
  } catch (error) {
    if (isOperationError(error, 'github.not_found')) return null
    throw error
  }
}

/** The installation is there no more: nobody reaches it, and its projects are deployed by pushes no more. */
export async function markInstallationGone(
  deps: Pick<Deps, 'db' | 'clock'>,
  integrationId: string,
  installationId: number,
): Promise<void> {
  const now = toIsoTime(deps.clock.now())
  await inTransaction(deps.db, async (tx) => {
    const row = await readInstallationRow(tx, integrationId, installationId)
    if (row !== undefined) {
      await tx
        .updateTable('github_installations')
        .set({ removed_at: now, updated_at: now })
        .where('id', '=', row.id)
        .where('removed_at', 'is', null)
        .execute()
      await tx
        .deleteFrom('github_installation_users')
        .where('github_installation_id', '=', row.id)
        .execute()
    }
    await removeUnclaimed(tx, integrationId, installationId)
    const place = { integrationId, installationId, now }
    await deactivateInstallation(tx, { ...place, reason: 'installation_deleted' })
  })
}

export async function storeInstallationFacts(
  deps: Pick<Deps, 'db' | 'clock'>,
  integrationId: string,
  facts: InstallationFacts,
): Promise<{ isKnown: boolean; resumed: string[] }> {
  const now = toIsoTime(deps.clock.now())
  const place = { integrationId, installationId: facts.id, now }
  return await inTransaction(deps.db, async (tx: Tx) => {
    const known = await tx
      .updateTable('github_installations')
      .set({ ...columnsOf(facts), removed_at: null, updated_at: now })
      .where('integration_id', '=', integrationId)
      .where('installation_id', '=', facts.id)
      .returning('id')
      .executeTakeFirst()
    await tx
      .updateTable('unclaimed_installations')
      .set(columnsOf(facts))
      .where('integration_id', '=', integrationId)
      .where('installation_id', '=', facts.id)
      .execute()
    const isKnown = known !== undefined
    if (facts.suspendedAt !== null) {
      await deactivateInstallation(tx, { ...place, reason: 'installation_suspended' })
      return { isKnown, resumed: [] }
    }
    const suspended = { ...place, reason: 'installation_suspended' } as const
    const deleted = { ...place, reason: 'installation_deleted' } as const
    const resumed = [
      ...(await reactivateInstallation(tx, suspended)),
      ...(await reactivateInstallation(tx, deleted)),
    ]
    return { isKnown, resumed }
  })
}
