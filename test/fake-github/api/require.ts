import { findReach, findRole } from '../access.ts'
import type { Actor, Need } from '../access.ts'
import { ApiError, forbidden, notFound } from '../answer.ts'
import { findRepository } from '../github.ts'
import type { Github } from '../github.ts'
import { pushesDone } from '../push.ts'
import type { Call } from '../router.ts'
import type { App, Repository, RepositoryRole } from '../state.ts'

/** The repository of the path, when the asker may do this to it. */
export async function requireRepository(
  github: Github,
  call: Call,
  need: Need,
): Promise<Repository> {
  const name = `${call.params['owner']}/${call.params['repo']}`
  const repository = findRepository(github, name)
  if (repository === null) throw findMoved(github, call, name)
  await pushesDone(github, repository)
  checkReach(github, call.actor, repository, need)
  return repository
}

export function checkReach(github: Github, actor: Actor, repository: Repository, need: Need): void {
  const reach = findReach(github, actor, repository, need)
  if (reach === 'hidden') throw notFound()
  if (reach === 'forbidden') throw forbidden()
  if (repository.archived && need.level === 'write') {
    throw new ApiError(403, 'Repository was archived so is read-only.')
  }
}

/** 301 to the id for a name that the repository had before, as long as nobody else took it. */
function findMoved(github: Github, call: Call, name: string): ApiError {
  const id = github.state.formerNames.get(name.toLowerCase())
  const repository = id === undefined ? undefined : github.state.repositories.get(id)
  if (repository === undefined) return notFound()
  const reach = findReach(github, call.actor, repository, { permission: 'metadata', level: 'read' })
  if (reach === 'hidden') return notFound()
  const rest = call.path.split('/').slice(4).join('/')
  const query = call.query.size === 0 ? '' : `?${call.query.toString()}`
  const url = `${github.apiUrl}/repositories/${id}${rest === '' ? '' : `/${rest}`}${query}`
  return new ApiError(301, 'Moved Permanently', { url }, { location: url })
}

/** What the asker may do to a repository themselves; null for Apps. */
export function roleOfActor(
  github: Github,
  actor: Actor,
  repository: Repository,
): RepositoryRole | null {
  return actor.kind === 'user' ? findRole(github, actor.user, repository) : null
}

export function requireApp({ actor }: Call): App {
  if (actor.kind === 'app') return actor.app
  throw new ApiError(401, 'A JSON web token could not be decoded')
}

export function requireUser({ actor }: Call): Extract<Actor, { kind: 'user' }> {
  if (actor.kind === 'user') return actor
  if (actor.kind === 'anonymous') throw new ApiError(401, 'Requires authentication')
  throw forbidden()
}

export function requireInstallation({ actor }: Call): Extract<Actor, { kind: 'installation' }> {
  if (actor.kind === 'installation') return actor
  if (actor.kind === 'anonymous') throw new ApiError(401, 'Requires authentication')
  throw forbidden()
}

/** The App whose client id stands in the path, when the asker has its secret. */
export function requireClient(call: Call): App {
  const { actor, params } = call
  if (actor.kind !== 'client' || actor.app.clientId !== params['client_id']) throw notFound()
  return actor.app
}
