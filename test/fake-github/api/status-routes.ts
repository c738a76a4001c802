import type { Actor } from '../access.ts'
import { ApiError, json } from '../answer.ts'
import { authorOf, fullName, now, toTime } from '../github.ts'
import type { Github } from '../github.ts'
import { toAccountJson, toNodeId } from '../json/account-json.ts'
import { toRepositoryJson } from '../json/repository-json.ts'
import { page } from '../pagination.ts'
import { readText, toRoutes } from '../router.ts'
import type { CommitStatus, Repository, Schemas } from '../state.ts'
import { resolveCommit } from './repository-routes.ts'
import { requireRepository, roleOfActor } from './require.ts'

const READ = { permission: 'statuses', level: 'read' } as const
const WRITE = { permission: 'statuses', level: 'write' } as const
const STATES = ['error', 'failure', 'pending', 'success'] as const
const MAX_DESCRIPTION = 140
/** Of one context on one commit. */
const MAX_STATUSES = 1000

export const statusRoutes = toRoutes({
  'POST /repos/:owner/:repo/statuses/:sha': async (github, call) => {
    const repository = await requireRepository(github, call, WRITE)
    const { sha } = await resolveCommit(github, call, repository, call.params['sha'] ?? '')
    const state = STATES.find((state) => state === call.body['state'])
    const description = readText(call.body, 'description')
    if (state === undefined || (description?.length ?? 0) > MAX_DESCRIPTION) {
      throw new ApiError(422, 'Validation Failed')
    }
    const context = readText(call.body, 'context') ?? 'default'
    if (
      listStatuses(github, repository, sha).filter((s) => s.context === context).length >=
      MAX_STATUSES
    ) {
      throw new ApiError(422, 'Validation Failed')
    }
    const status: CommitStatus = {
      id: github.nextId(),
      repositoryId: repository.id,
      sha,
      state,
      context,
      description,
      targetUrl: readText(call.body, 'target_url'),
      creatorId: findCreator(call.actor),
      createdAt: now(github),
    }
    github.state.statuses.push(status)
    return json(toStatusJson(github, repository, status), 201)
  },
  'GET /repos/:owner/:repo/commits/:ref/statuses': async (github, call) => {
    const repository = await requireRepository(github, call, READ)
    const { sha } = await resolveCommit(github, call, repository, call.params['ref'] ?? '')
    return page(github, call, listStatuses(github, repository, sha), (items) => {
      return items.map((status) => toStatusJson(github, repository, status))
    })
  },
  'GET /repos/:owner/:repo/commits/:ref/status': async (github, call) => {
    const repository = await requireRepository(github, call, READ)
    const { sha } = await resolveCommit(github, call, repository, call.params['ref'] ?? '')
    const latest = new Map<string, CommitStatus>()
    for (const status of listStatuses(github, repository, sha).toReversed()) {
      latest.set(status.context, status)
    }
    const url = `${github.apiUrl}/repos/${fullName(github, repository)}/commits/${sha}`
    return page(github, call, [...latest.values()], (items, total) => {
      const combined: Schemas['combined-commit-status'] = {
        state: combine([...latest.values()]),
        statuses: items.map((status) => toSimpleStatusJson(github, repository, status)),
        sha,
        total_count: total,
        repository: toRepositoryJson(
          github,
          repository,
          roleOfActor(github, call.actor, repository),
        ),
        commit_url: url,
        url: `${url}/status`,
      }
      return combined
    })
  },
})

/** Newest first. */
function listStatuses(github: Github, { id }: Repository, sha: string): CommitStatus[] {
  return github.state.statuses
    .filter((status) => status.repositoryId === id && status.sha === sha)
    .toReversed()
}

function combine(latest: readonly CommitStatus[]): string {
  if (latest.some(({ state }) => state === 'error' || state === 'failure')) return 'failure'
  const isDone = latest.length > 0 && latest.every(({ state }) => state === 'success')
  return isDone ? 'success' : 'pending'
}

/** The account that shows as the author: an App's is its bot. */
export function findCreator(actor: Actor): number {
  if (actor.kind === 'user') return actor.user.id
  if (actor.kind === 'installation') return actor.app.id
  throw new ApiError(401, 'Requires authentication')
}

function toSimpleStatusJson(
  github: Github,
  repository: Repository,
  status: CommitStatus,
): Schemas['simple-commit-status'] {
  const creator = toAccountJson(github, authorOf(github, status.creatorId))
  return {
    url: `${github.apiUrl}/repos/${fullName(github, repository)}/statuses/${status.sha}`,
    avatar_url: creator.avatar_url,
    id: status.id,
    node_id: toNodeId('SC', status.id),
    state: status.state,
    description: status.description,
    target_url: status.targetUrl,
    context: status.context,
    created_at: toTime(status.createdAt),
    updated_at: toTime(status.createdAt),
  }
}

function toStatusJson(
  github: Github,
  repository: Repository,
  status: CommitStatus,
): Schemas['status'] {
  const creator = toAccountJson(github, authorOf(github, status.creatorId))
  return {
    ...toSimpleStatusJson(github, repository, status),
    avatar_url: creator.avatar_url,
    creator,
  }
}
