import type { Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { HookTable } from '../database/webhook-tables.ts'
import type { GithubApp, RepositoryFacts } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, OperationError } from '../lib/errors.ts'
import { loadGithubApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import {
  openInstallation,
  repositoryNotFound,
  type OpenInstallation,
  type RepositoryAsker,
} from './repositories.ts'
import { mayKeepHooks, prepareRepositoryHook, shareHook, toHostId } from './repository-hooks.ts'
import { saveRepositories } from './repository-records.ts'
import { readUserLink } from './user-links.ts'
import { userAccessToken } from './user-token.ts'

export interface GithubSourceChoice {
  integrationId: string | null
  installationId: number
  repoId: number
}

/** A repository that somebody may deploy from, with its facts as GitHub has them at this moment. */
export interface GithubSource {
  integrationId: string
  installationId: number
  facts: RepositoryFacts
  /** Null: by the organization's claim, and nobody's own right. */
  linkedByUserId: string | null
  /** Null where the App may not keep webhooks at repositories. */
  preparedHook: HookTable | null
}

/**
 * Checks that the asker may deploy from a repository: they have push or admin there now, as GitHub says to them, or they
 * are an admin of the organization that claimed its installation. Throws `github.installation_not_found`,
 * `github.repository_not_found`, `github.push_right_needed`, `github.not_connected`, `github.repository_archived`, and
 * what asking GitHub throws.
 */
export async function resolveGithubSource(
  deps: IntegrationDeps,
  asker: RepositoryAsker,
  choice: GithubSourceChoice,
  signal: AbortSignal,
): Promise<GithubSource> {
  const installation = await openInstallation(deps.db, asker, choice)
  const app = await loadGithubApp(deps, installation.row.integration_id)
  const { repoId } = choice
  const linkedByUserId = await findRight(deps, app, { asker, installation, repoId }, signal)
  // As the installation: a person may reach repositories that the App does not.
  const facts = await orNotFound(
    deps.github.readRepository(app, { installationId: choice.installationId, repoId }, signal),
    repoId,
  )
  if (facts.archived || facts.disabled) throw archived(facts)
  const seenAt = toIsoTime(deps.clock.now())
  const page = { installation: installation.row, facts: [facts], seenAt }
  await inTransaction(deps.db, (tx) => saveRepositories(tx, deps, page))
  const { organizationId } = asker
  const place = { organizationId, integrationId: app.integrationId, repoId }
  const keepsHooks = mayKeepHooks(installation.row.permissions)
  return {
    integrationId: app.integrationId,
    installationId: choice.installationId,
    facts,
    linkedByUserId,
    preparedHook: keepsHooks ? prepareRepositoryHook(deps, place) : null,
  }
}

/** Links a project that is made in this transaction. Gives the hook that is to be made at GitHub after it, if any. */
export async function linkProject(
  deps: Pick<IntegrationDeps, 'clock' | 'newId'>,
  tx: Tx,
  project: { organizationId: string; id: string; branch: string },
  source: GithubSource,
): Promise<string | null> {
  const { integrationId, installationId, facts, preparedHook } = source
  const { organizationId } = project
  const place = { organizationId, integrationId, repoId: facts.id }
  const hook = preparedHook === null ? null : await shareHook(tx, place, preparedHook)
  const now = toIsoTime(deps.clock.now())
  await tx
    .insertInto('project_github_links')
    .values({
      id: deps.newId(),
      organization_id: organizationId,
      project_id: project.id,
      integration_id: integrationId,
      installation_id: installationId,
      repo_id: facts.id,
      repo_node_id: facts.nodeId,
      owner_login: facts.ownerLogin,
      repo_name: facts.name,
      full_name: facts.fullName,
      default_branch: facts.defaultBranch,
      selected_branch: project.branch,
      webhook_id: toHostId(hook?.host_hook_id ?? null),
      hook_id: hook?.id ?? null,
      linked_by_user_id: source.linkedByUserId,
      active: true,
      inactive_reason: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
  return hook?.id ?? null
}

interface Wanted {
  asker: RepositoryAsker
  installation: OpenInstallation
  repoId: number
}

/** Whose right it is: the person's own where they have it, else null for the claim. */
async function findRight(
  deps: IntegrationDeps,
  app: GithubApp,
  { asker, installation, repoId }: Wanted,
  signal: AbortSignal,
): Promise<string | null> {
  const { userId } = asker
  const link = userId === null ? undefined : await readUserLink(deps.db, app.integrationId, userId)
  if (installation.seesAll && (userId === null || link === undefined)) return null
  if (userId === null) throw repositoryNotFound(repoId)
  try {
    const token = await userAccessToken(deps, app, userId, signal)
    const facts = await deps.github.readUserRepository(app, token, repoId, signal)
    if (facts.permissions.push || facts.permissions.admin) return userId
    if (installation.seesAll) return null
    throw pushRightNeeded(facts)
  } catch (error) {
    const isRefused =
      isOperationError(error, 'github.not_found') || isOperationError(error, 'github.refused')
    const isUnlinked = isOperationError(error, 'github.reconnect_needed')
    if (installation.seesAll && (isRefused || isUnlinked)) return null
    if (isRefused) throw repositoryNotFound(repoId)
    throw error
  }
}

async function orNotFound<Facts>(reading: Promise<Facts>, repoId: number): Promise<Facts> {
  try {
    return await reading
  } catch (error) {
    if (isOperationError(error, 'github.not_found')) throw repositoryNotFound(repoId)
    throw error
  }
}

function pushRightNeeded({ fullName }: RepositoryFacts): OperationError {
  return new OperationError(
    'github.push_right_needed',
    `Cannot deploy from "${fullName}": that takes the right to push there, which you do not have`,
    { details: { 'github_source.repo_id': ['you may read it, and not push to it'] } },
  )
}

function archived({ fullName, disabled }: RepositoryFacts): OperationError {
  const state = disabled ? 'disabled by GitHub' : 'archived'
  return new OperationError(
    'github.repository_archived',
    `Cannot deploy from "${fullName}": it is ${state}`,
    { details: { 'github_source.repo_id': [`it is ${state}`] } },
  )
}
