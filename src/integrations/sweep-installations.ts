import type { RecurringJob } from '../jobs/recurring-jobs.ts'
import { isOperationError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { loadGithubApp, noteAppFacts, readApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { markInstallationGone, storeInstallationFacts } from './refresh-installation.ts'
import { refreshLinkedRepositories } from './refresh-repositories.ts'

interface SweepDeps extends IntegrationDeps {
  log: Logger
}

/**
 * Once an hour: what GitHub says of every installation that is known here. Some things it never tells by an event: a
 * deleted repository, one that went to an owner without the App, whatever happened while this machine was off.
 */
export function installationSweepJob(deps: SweepDeps): RecurringJob {
  return {
    name: 'github_installations',
    everySeconds: 3600,
    leaseSeconds: 900,
    run: (signal) => sweepInstallations(deps, signal),
  }
}

/** An App that cannot be asked now is left for the next time. */
export async function sweepInstallations(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const apps = await deps.db
    .selectFrom('integrations')
    .select(['id', 'name'])
    .where('type', '=', 'github')
    .where('status', '=', 'active')
    .execute()
  for (const { id, name } of apps) {
    signal.throwIfAborted()
    try {
      await sweepApp(deps, id, signal)
    } catch (error) {
      if (signal.aborted || !isOperationError(error)) throw error
      deps.log.warn('Cannot read the installations of an App', { name, reason: messageOf(error) })
    }
  }
}

async function sweepApp(
  deps: IntegrationDeps,
  integrationId: string,
  signal: AbortSignal,
): Promise<void> {
  const app = await loadGithubApp(deps, integrationId)
  const row = await readApp(deps.db, integrationId)
  if (row !== undefined) await noteAppFacts(deps, row, await deps.github.readApp(app, signal))
  const known = await deps.db
    .selectFrom('github_installations')
    .select('installation_id')
    .where('integration_id', '=', integrationId)
    .where('removed_at', 'is', null)
    .execute()
  if (known.length === 0) return
  const missing = new Set(known.map((row) => row.installation_id))
  for await (const facts of deps.github.listInstallations(app, signal)) {
    if (!missing.delete(facts.id)) continue
    const state = facts.suspendedAt === null ? 'active' : 'suspended'
    deps.github.noteInstallation(app, facts.id, state)
    await storeInstallationFacts(deps, integrationId, facts)
  }
  for (const id of missing) {
    deps.github.noteInstallation(app, id, 'removed')
    await markInstallationGone(deps, integrationId, id)
  }
  for (const { installation_id: installationId } of known) {
    if (missing.has(installationId)) continue
    await refreshLinkedRepositories(deps, { integrationId, installationId }, signal)
  }
}
