import { ApiError, json, notFound } from '../answer.ts'
import type { Answer } from '../answer.ts'
import { gitOf, readCommit } from '../git-store.ts'
import type { CommitFacts } from '../git-store.ts'
import { fullName } from '../github.ts'
import type { Github } from '../github.ts'
import { toCommitJson } from '../json/commit-json.ts'
import { toFullRepositoryJson } from '../json/repository-json.ts'
import { page } from '../pagination.ts'
import { toRoutes } from '../router.ts'
import type { Call } from '../router.ts'
import type { Repository, Schemas } from '../state.ts'
import { requireRepository, roleOfActor } from './require.ts'

const METADATA = { permission: 'metadata', level: 'read' } as const
const CONTENTS = { permission: 'contents', level: 'read' } as const

export const repositoryRoutes = toRoutes({
  'GET /repos/:owner/:repo': async (github, call) => {
    const repository = await requireRepository(github, call, METADATA)
    const role = roleOfActor(github, call.actor, repository)
    return json(toFullRepositoryJson(github, repository, role))
  },
  'GET /repos/:owner/:repo/branches': async (github, call) => {
    const repository = await requireRepository(github, call, CONTENTS)
    const branches = [...refsFor(github, call, repository)]
      .filter(([ref]) => ref.startsWith('refs/heads/'))
      .map(([ref, sha]): Schemas['short-branch'] => ({
        name: ref.slice('refs/heads/'.length),
        commit: { sha, url: `${toUrl(github, repository)}/commits/${sha}` },
        protected: false,
      }))
    const shown = call.query.get('protected') === 'true' ? [] : branches
    return page(github, call, shown, (items) => items)
  },
  'GET /repos/:owner/:repo/branches/:branch+': getBranch,
  'GET /repos/:owner/:repo/git/ref/:ref+': async (github, call) => {
    const repository = await requireRepository(github, call, CONTENTS)
    const ref = `refs/${call.params['ref']}`
    const sha = refsFor(github, call, repository).get(ref)
    if (sha === undefined) throw notFound()
    return json(toRefJson(github, repository, ref, sha))
  },
  'GET /repos/:owner/:repo/git/matching-refs/:ref+': async (github, call) => {
    const repository = await requireRepository(github, call, CONTENTS)
    const start = `refs/${call.params['ref']}`
    const refs = [...refsFor(github, call, repository)].filter(([ref]) => ref.startsWith(start))
    return page(github, call, refs, (items) => {
      return items.map(([ref, sha]) => toRefJson(github, repository, ref, sha))
    })
  },
  'GET /repos/:owner/:repo/commits/:ref+': async (github, call) => {
    const repository = await requireRepository(github, call, CONTENTS)
    if (repository.refs.size === 0) throw new ApiError(409, 'Git Repository is empty.')
    const commit = await resolveCommit(github, call, repository, call.params['ref'] ?? '')
    if (String(call.headers['accept']).includes('application/vnd.github.sha')) {
      return {
        status: 200,
        body: { text: commit.sha, type: 'application/vnd.github.sha; charset=utf-8' },
      }
    }
    return json(toCommitJson(github, repository, commit))
  },
})

async function getBranch(github: Github, call: Call): Promise<Answer> {
  const repository = await requireRepository(github, call, CONTENTS)
  const name = call.params['branch'] ?? ''
  const sha = refsFor(github, call, repository).get(`refs/heads/${name}`)
  const commit = sha === undefined ? null : await readCommit(await gitOf(github, repository), sha)
  if (commit === null) throw new ApiError(404, 'Branch not found')
  const url = `${toUrl(github, repository)}/branches/${name}`
  const branch: Schemas['branch-with-protection'] = {
    name,
    commit: toCommitJson(github, repository, commit),
    _links: {
      self: url,
      html: `${github.webUrl}/${fullName(github, repository)}/tree/${name}`,
    },
    protected: false,
    protection: {
      enabled: false,
      required_status_checks: { enforcement_level: 'off', contexts: [], checks: [] },
    },
    protection_url: `${url}/protection`,
  }
  return json(branch)
}

/** The refs, or those before the last push when this request meets a replica that lags. */
function refsFor(github: Github, call: Call, repository: Repository): ReadonlyMap<string, string> {
  const isStale = github.faults.take('stale-refs', call.line) !== null
  return isStale ? repository.laggingRefs : repository.refs
}

/** By branch, tag, full ref or the beginning of an id. */
export async function resolveCommit(
  github: Github,
  call: Call,
  repository: Repository,
  ref: string,
): Promise<CommitFacts> {
  const refs = refsFor(github, call, repository)
  const names = [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`, ref]
  const named = names.map((name) => refs.get(name)).find((sha) => sha !== undefined)
  const sha = named ?? (/^[0-9a-f]{7,40}$/.test(ref) ? ref : null)
  const commit = sha === null ? null : await readCommit(await gitOf(github, repository), sha)
  if (commit === null) throw new ApiError(422, `No commit found for SHA: ${ref}`)
  return commit
}

function toRefJson(
  github: Github,
  repository: Repository,
  ref: string,
  sha: string,
): Schemas['git-ref'] {
  const url = toUrl(github, repository)
  return {
    ref,
    node_id: `REF_${Buffer.from(ref).toString('base64url')}`,
    url: `${url}/git/${ref}`,
    object: { type: 'commit', sha, url: `${url}/git/commits/${sha}` },
  }
}

function toUrl(github: Github, repository: Repository): string {
  return `${github.apiUrl}/repos/${fullName(github, repository)}`
}
