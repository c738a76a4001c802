import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { GithubApp, RepositoryFacts } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError } from '../lib/errors.ts'
import { loadGithubApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { listLinks, saveRepositoryNames } from './project-links.ts'

type Deps = Pick<IntegrationDeps, 'db' | 'clock' | 'keyring' | 'github' | 'environmentApp'>

interface Place {
  installationId: number
  repoId: number
}

/**
 * Reads again, through the App's own eyes, the repositories that projects deploy from: all of an installation, or one by
 * its id. Names are stored as they are now; what the App sees no more ends the links. Gives the projects that pushes
 * deploy again, and the installations that were looked at.
 */
export async function refreshLinkedRepositories(
  deps: Deps,
  of: { integrationId: string } & ({ installationId: number } | { repoId: number }),
  signal: AbortSignal,
): Promise<{ resumed: string[]; installationIds: number[] }> {
  const { integrationId } = of
  const links = await listLinks(deps.db, of)
  const places = new Map<string, Place>()
  for (const { installation_id: installationId, repo_id: repoId } of links) {
    places.set(`${installationId}/${repoId}`, { installationId, repoId })
  }
  if (places.size === 0) return { resumed: [], installationIds: [] }
  const app = await loadGithubApp(deps, integrationId)
  const resumed: string[] = []
  for (const place of places.values()) {
    const facts = await readRepository(deps, app, place, signal)
    if (facts === 'unknown') continue
    resumed.push(...(await store(deps, integrationId, place, facts)))
  }
  const installationIds = [...places.values()].map(({ installationId }) => installationId)
  return { resumed, installationIds: [...new Set(installationIds)] }
}

/** Null: the App sees it no more. `unknown`: the installation sleeps, and nothing can be said. */
async function readRepository(
  { github }: Pick<Deps, 'github'>,
  app: GithubApp,
  place: Place,
  signal: AbortSignal,
): Promise<RepositoryFacts | null | 'unknown'> {
  try {
    return await github.readRepository(app, place, signal)
  } catch (error) {
    if (isOperationError(error, 'github.not_found')) return null
    if (isOperationError(error, 'github.gone')) return 'unknown'
    throw error
  }
}

async function store(
  deps: Deps,
  integrationId: string,
  { installationId, repoId }: Place,
  facts: RepositoryFacts | null,
): Promise<string[]> {
  const now = toIsoTime(deps.clock.now())
  return await inTransaction(deps.db, async (tx: Tx) => {
    if (facts !== null) await saveRepositoryNames(tx, integrationId, facts, now)
    const isThere = facts !== null
    const changed = await tx
      .updateTable('project_github_links')
      .set({
        active: isThere,
        inactive_reason: isThere ? null : 'repository_removed',
        updated_at: now,
      })
      .where('integration_id', '=', integrationId)
      .where('installation_id', '=', installationId)
      .where('repo_id', '=', repoId)
      .where((of) =>
        isThere
          ? of.and([of('active', '=', false), of('inactive_reason', '=', 'repository_removed')])
          : of('active', '=', true),
      )
      .returning('project_id')
      .execute()
    return isThere ? changed.map((row) => row.project_id) : []
  })
}
