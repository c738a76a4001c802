import { loadGithubApp } from '../integrations/github-apps.ts'
import {
  listReachedRepositories,
  openInstallation,
  requireReachedRepository,
  type OpenInstallation,
  type ReachedRepository,
  type RepositoryAsker,
} from '../integrations/repositories.ts'
import { OperationError } from '../lib/errors.ts'
import { askingPersonOf, membershipOf, type Handlers, type RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'

type RepositoryHandlers = Pick<Handlers, 'github.repos' | 'github.repos.sync' | 'github.branches'>

/** Repositories behind installations, each person seeing what they reach. */
export function githubRepositoryHandlers(app: HttpApp): RepositoryHandlers {
  return {
    'github.repos': async ({ query }, request) => {
      const asker = askerOf(request)
      const installation = await openInstallation(app.db, asker, chosenBy(query))
      const { limit } = query
      const page = {
        after: query.cursor === undefined ? null : readCursor(query.cursor),
        limit: limit + 1,
        query: query.query ?? null,
      }
      const found = await listReachedRepositories(app.db, asker, installation, page)
      const shown = found.slice(0, limit)
      const last = found.length > limit ? shown.at(-1) : undefined
      return {
        items: shown.map((repository) => viewRepository(repository, installation)),
        next_cursor: last === undefined ? null : writeCursor([last.row.full_name, last.row.id]),
        synced_at: installation.row.synced_at,
        sync_error: installation.row.sync_error,
      }
    },
    'github.repos.sync': async ({ body }, request) => {
      const asker = askerOf(request)
      const installation = await openInstallation(app.db, asker, chosenBy(body))
      const { sync } = app.githubRepositories
      const end = await sync.refresh(installation, asker.userId, request.signal)
      if (end.kind === 'running') return { state: 'running', repositories: null, removed: null }
      return { state: 'done', repositories: end.repositories, removed: end.removed }
    },
    'github.branches': async ({ query }, request) => {
      const asker = askerOf(request)
      const installation = await openInstallation(app.db, asker, chosenBy(query))
      await requireReachedRepository(app.db, asker, installation, query.repo_id)
      const github = await loadGithubApp(app, installation.row.integration_id)
      const place = { installationId: query.installation_id, repoId: query.repo_id }
      const page = {
        after: query.cursor === undefined ? null : readBranchCursor(query.cursor),
        limit: query.limit,
        query: query.query ?? null,
      }
      const { branches } = app.githubRepositories
      const found = await branches.list(github, place, page, request.signal)
      return {
        items: found.branches,
        next_cursor: found.next === null ? null : writeCursor([found.next]),
        complete: found.complete,
      }
    },
  }
}

/** Who asks about repositories; a token acts as who made it. */
export function askerOf(request: RequestFacts): RepositoryAsker {
  const { organizationId, role } = membershipOf(request)
  const seesClaimed = role === 'admin' || role === 'owner'
  return { organizationId, userId: askingPersonOf(request), seesClaimed }
}

function chosenBy(input: { installation_id: number; integration_id?: string | undefined }) {
  return {
    installationId: input.installation_id,
    integrationId: input.integration_id ?? null,
  }
}

function viewRepository({ row, permissions }: ReachedRepository, { seesAll }: OpenInstallation) {
  const mayDeploy = seesAll || permissions?.push === true || permissions?.admin === true
  return {
    integration_id: row.integration_id,
    installation_id: row.installation_id,
    repo_id: row.repo_id,
    node_id: row.node_id,
    owner_login: row.owner_login,
    name: row.name,
    full_name: row.full_name,
    default_branch: row.default_branch,
    private: row.is_private,
    archived: row.archived,
    disabled: row.disabled,
    html_url: row.html_url,
    clone_url: row.clone_url,
    pushed_at: row.pushed_at,
    permissions,
    selectable: mayDeploy && !row.archived && !row.disabled,
    last_synced_at: row.last_synced_at,
  }
}

function writeCursor(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

function readCursor(cursor: string): { fullName: string; id: string } {
  const [fullName, id] = partsOf(cursor, 2)
  return { fullName: fullName ?? '', id: id ?? '' }
}

function readBranchCursor(cursor: string): string {
  return partsOf(cursor, 1)[0] ?? ''
}

function partsOf(cursor: string, length: number): string[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(value) && value.length === length) {
      const parts = value.filter((part) => typeof part === 'string')
      if (parts.length === length) return parts
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  const details = { cursor: ['it is no next_cursor of this list'] }
  throw new OperationError('http.invalid', 'Cannot go on from this cursor', { details })
}
