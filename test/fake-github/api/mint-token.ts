import { includesPermissions, repositoriesOf } from '../access.ts'
import { ApiError, json } from '../answer.ts'
import type { Answer } from '../answer.ts'
import type { Github } from '../github.ts'
import { toTime } from '../github.ts'
import { toRepositoryJson } from '../json/repository-json.ts'
import { readObject, readTexts } from '../router.ts'
import type { Call } from '../router.ts'
import type { Installation, Level, Permissions, Repository, Schemas } from '../state.ts'
import { createInstallationToken } from '../tokens.ts'

const MAX_REPOSITORIES = 500

/** `POST /app/installations/{id}/access_tokens`. */
export function mintToken(github: Github, installation: Installation, call: Call): Answer {
  if (installation.suspended !== null) {
    throw new ApiError(403, 'This installation has been suspended')
  }
  const { line } = call
  const asked = findWanted(github, installation, call.body)
  const askedPermissions = readPermissions(installation, call.body)
  const isWider = github.faults.take('wider-token', line) !== null
  const wanted = isWider ? null : asked
  const permissions = isWider ? installation.permissions : askedPermissions
  const token = createInstallationToken(github, installation, {
    permissions,
    repositoryIds: wanted === null ? null : wanted.map(({ id }) => id),
    unknownFor: github.faults.take('fresh-token-lag', line)?.uses ?? 0,
  })
  const isAll = wanted === null && installation.selection === 'all'
  const answer = {
    token: token.token,
    expires_at: toTime(token.expiresAt),
    permissions,
    repository_selection: isAll ? 'all' : 'selected',
    ...(wanted === null
      ? {}
      : { repositories: wanted.map((item) => toRepositoryJson(github, item, null)) }),
  } satisfies Schemas['installation-token']
  return json(answer, 201)
}

/** Everything that is granted when the request says nothing. */
function readPermissions(installation: Installation, body: Call['body']): Permissions {
  if (body['permissions'] === undefined) return installation.permissions
  const wanted = readObject(body['permissions'])
  if (wanted === null) throw new ApiError(422, 'Invalid request.')
  const entries = Object.entries(wanted)
  const isLevel = (level: unknown): level is Level => {
    return level === 'read' || level === 'write' || level === 'admin'
  }
  if (!entries.every(([, level]) => isLevel(level))) throw new ApiError(422, 'Invalid request.')
  const permissions: Permissions = Object.fromEntries(entries) as Record<string, Level>
  if (!includesPermissions({ ...installation.permissions, metadata: 'read' }, permissions)) {
    throw new ApiError(422, 'The permissions requested are not granted to this installation.')
  }
  if (entries.length === 0) return installation.permissions
  return { metadata: 'read', ...permissions }
}

/** The repositories that the token is for; null for all of them, which is what saying nothing means. */
function findWanted(
  github: Github,
  installation: Installation,
  body: Call['body'],
): Repository[] | null {
  const names = body['repositories'] === undefined ? null : readTexts(body['repositories'])
  const ids = body['repository_ids']
  if (names !== null && ids !== undefined) {
    throw new ApiError(422, 'Only one of repositories and repository_ids can be given.')
  }
  const wanted = names ?? (Array.isArray(ids) ? ids : [])
  if (wanted.length === 0) return null
  if (wanted.length > MAX_REPOSITORIES) {
    throw new ApiError(422, 'Too many repositories for installation')
  }
  const all = repositoriesOf(github, installation)
  return wanted.map((nameOrId) => {
    const found = all.find(({ id, name }) => {
      return typeof nameOrId === 'string'
        ? name.toLowerCase() === nameOrId.toLowerCase()
        : id === nameOrId
    })
    if (found !== undefined) return found
    throw new ApiError(
      422,
      'There is at least one repository that does not exist or is not accessible to the parent installation.',
    )
  })
}
