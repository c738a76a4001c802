import { sql } from 'kysely'

import type { Database } from '../database/database.ts'
import { OperationError } from '../lib/errors.ts'
import { listReachedInstallations, type Installation } from './installation-records.ts'
import type { RepositoryRow } from './repository-records.ts'

/** Who asks about repositories: members see what they were verified to reach, admins what the organization claimed. */
export interface RepositoryAsker {
  organizationId: string
  /** Null for the operator, who has no account at GitHub. */
  userId: string | null
  seesClaimed: boolean
}

/** An installation that somebody may look into; `seesAll` when the organization has claimed it. */
export interface OpenInstallation {
  row: Installation
  seesAll: boolean
}

/**
 * The installation of this number that the asker reaches. Numbers are GitHub's: two GitHubs may have the same one, which
 * then needs the App too. Throws `github.installation_not_found`, whether it is unknown or somebody else's.
 */
export async function openInstallation(
  db: Database,
  asker: RepositoryAsker,
  wanted: { installationId: number; integrationId: string | null },
): Promise<OpenInstallation> {
  const { installationId, integrationId } = wanted
  const reached = await listReachedInstallations(db, asker)
  const found = reached.filter(
    ({ row }) =>
      row.installation_id === installationId && [null, row.integration_id].includes(integrationId),
  )
  const [only] = found
  if (only === undefined) throw installationNotFound(installationId)
  if (found.length > 1) {
    const details = { integration_id: ['say which GitHub App is meant'] }
    const sentence = `Cannot choose installation ${installationId}: several GitHub Apps have one of this number`
    throw new OperationError('http.invalid', sentence, { details })
  }
  return { row: only.row, seesAll: asker.seesClaimed && isClaimed(only.row, asker) }
}

function isClaimed(row: Installation, { organizationId }: RepositoryAsker): boolean {
  return row.organization_id === organizationId
}

export interface RepositoryPermissions {
  admin: boolean
  push: boolean
  pull: boolean
}

/** A repository with what the asker may at GitHub; null where only the claim of the organization lets them. */
export interface ReachedRepository {
  row: RepositoryRow
  permissions: RepositoryPermissions | null
}

interface RepositoryPage {
  after: { fullName: string; id: string } | null
  limit: number
  /** A part of `owner/name`, in any case. */
  query: string | null
}

/** Repositories behind an installation in the order of their names. */
export async function listReachedRepositories(
  db: Database,
  asker: RepositoryAsker,
  { row: installation, seesAll }: OpenInstallation,
  page: RepositoryPage,
): Promise<ReachedRepository[]> {
  let query = db
    .selectFrom('github_repositories as repository')
    .selectAll('repository')
    .where('repository.github_installation_id', '=', installation.id)
    .where('repository.removed_at', 'is', null)
  if (!seesAll) {
    query = query
      .innerJoin('github_repository_users as reach', 'reach.github_repository_id', 'repository.id')
      .where('reach.local_user_id', '=', asker.userId ?? '')
  }
  if (page.query !== null) {
    const part = `%${page.query.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`
    query = query.where(sql<boolean>`lower(repository.full_name) like ${part} escape '\\'`)
  }
  if (page.after !== null) {
    const { fullName, id } = page.after
    query = query.where(sql<boolean>`(repository.full_name, repository.id) > (${fullName}, ${id})`)
  }
  const rows = await query
    .orderBy('repository.full_name')
    .orderBy('repository.id')
    .limit(page.limit)
    .execute()
  const reach = await readReach(
    db,
    asker,
    rows.map(({ id }) => id),
  )
  return rows.map((row) => ({ row, permissions: reach.get(row.id) ?? null }))
}

async function readReach(
  db: Database,
  { userId }: RepositoryAsker,
  ids: readonly string[],
): Promise<ReadonlyMap<string, RepositoryPermissions>> {
  if (userId === null || ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('github_repository_users')
    .selectAll()
    .where('local_user_id', '=', userId)
    .where('github_repository_id', 'in', ids)
    .execute()
  return new Map(
    rows.map((row) => [
      row.github_repository_id,
      { admin: row.permission_admin, push: row.permission_push, pull: row.permission_pull },
    ]),
  )
}

/** One repository that the asker may see. Throws `github.repository_not_found`, unknown or not theirs. */
export async function requireReachedRepository(
  db: Database,
  asker: RepositoryAsker,
  { row: installation, seesAll }: OpenInstallation,
  repoId: number,
): Promise<void> {
  let query = db
    .selectFrom('github_repositories as repository')
    .select('repository.id')
    .where('repository.github_installation_id', '=', installation.id)
    .where('repository.repo_id', '=', repoId)
    .where('repository.removed_at', 'is', null)
  if (!seesAll) {
    query = query
      .innerJoin('github_repository_users as reach', 'reach.github_repository_id', 'repository.id')
      .where('reach.local_user_id', '=', asker.userId ?? '')
  }
  if ((await query.executeTakeFirst()) === undefined) throw repositoryNotFound(repoId)
}

export function repositoryNotFound(repoId: number): OperationError {
  return new OperationError(
    'github.repository_not_found',
    `Cannot find repository ${repoId} behind this installation`,
  )
}

function installationNotFound(id: number): OperationError {
  return new OperationError(
    'github.installation_not_found',
    `Cannot find the installation "${id}" of GitHub`,
  )
}
