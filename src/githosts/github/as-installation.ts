import { z } from 'zod'

import type { Clock } from '../../lib/clock.ts'
import type {
  BranchHeadAnswer,
  GithubApp,
  GithubHost,
  RepositoryFacts,
  RepositoryPlace,
  TokenOrder,
} from '../github-host.ts'
import { type Answer, type Asker, expectSuccess, messageIn, paginate, read } from './ask.ts'
import { commitId, repositoryShape, toRepositoryFacts } from './facts.ts'
import { askWithFreshToken } from './fresh-token.ts'
import { goneError, type InstallationStanding } from './installation-standing.ts'
import type { TokenMinter } from './token-minter.ts'
import { invalidAnswer } from './transport.ts'

type AsInstallation = Pick<
  GithubHost,
  | 'listRepositories'
  | 'readRepository'
  | 'listBranches'
  | 'readBranchHead'
  | 'reportStatus'
  | 'remainingBudget'
>

interface Question {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  body?: object
  ifNoneMatch?: string
}

export interface InstallationCaller {
  /** Asks with a token that is for this order alone. */
  askAsInstallation: (
    app: GithubApp,
    order: TokenOrder,
    question: Question,
    signal: AbortSignal,
  ) => Promise<Answer>
}

export interface InstallationDeps {
  clock: Clock
  asker: Asker
  minter: TokenMinter
  standing: InstallationStanding
}

export function createInstallationCaller(deps: InstallationDeps): InstallationCaller {
  return {
    askAsInstallation: async (app, order, question, signal) => {
      const attempt = async () => {
        const minted = await deps.minter.mint(app, order, signal)
        const authorization = `Bearer ${minted.token.reveal()}`
        const limitedBy = limitOf(app, order.installationId)
        const asked = { site: app, ...question, authorization, limitedBy }
        return {
          minted,
          answer: await askWithFreshToken(deps, asked, minted.mintedAtMs, signal),
        }
      }
      let { minted, answer } = await attempt()
      if (answer.status === 401) {
        // Somebody revoked it, or GitHub did.
        deps.minter.forget(minted)
        ;({ minted, answer } = await attempt())
        if (answer.status === 401) deps.minter.forget(minted)
      }
      if (answer.status === 403 && /suspended/i.test(messageIn(answer))) {
        deps.standing.noteRefused(app, order.installationId, 'suspended')
        throw goneError(order.installationId, 'suspended')
      }
      return answer
    },
  }
}

function limitOf(app: GithubApp, installationId: number): string {
  return `${app.apiUrl} installation ${app.appId} ${installationId}`
}

/** An order for one repository. */
export function orderFor(
  { installationId, repoId }: RepositoryPlace,
  permissions: TokenOrder['permissions'],
): TokenOrder {
  return { installationId, repositoryIds: [repoId], permissions }
}

/** What an installation asks about its repositories, each with a token for that repository alone. */
export function createAsInstallation(
  deps: InstallationDeps & { installations: InstallationCaller },
): AsInstallation {
  const { askAsInstallation } = deps.installations
  const readRepository = async (app: GithubApp, place: RepositoryPlace, signal: AbortSignal) => {
    const order = orderFor(place, { metadata: 'read' })
    const question = { method: 'GET', path: `/repositories/${place.repoId}` } as const
    const answer = await askAsInstallation(app, order, question, signal)
    const found = read(`read the repository "${place.repoId}"`, answer, repositoryShape)
    return toRepositoryFacts(app, found)
  }
  return {
    readRepository,
    listRepositories: (app, installationId, signal) => {
      const order = { installationId, repositoryIds: null, permissions: { metadata: 'read' } }
      return listRepositories(app, (path) =>
        askAsInstallation(app, order, { method: 'GET', path }, signal),
      )
    },
    listBranches: async (app, place, { number, size }, signal) => {
      const order = orderFor(place, { contents: 'read' })
      const path = `/repositories/${place.repoId}/branches?per_page=${size}&page=${number}`
      return toBranches(await askAsInstallation(app, order, { method: 'GET', path }, signal))
    },
    readBranchHead: async (app, place, branch, etag, signal) => {
      const path = toRefPath(place, branch)
      if (path === null) return { kind: 'branch_gone' }
      const condition = etag === null ? {} : { ifNoneMatch: etag }
      const order = orderFor(place, { contents: 'read' })
      const question = { method: 'GET', path, ...condition } as const
      const answer = await askAsInstallation(app, order, question, signal)
      const head = toBranchHead(answer, branch, place)
      // Without access the answer is the same: only a branch of a repository that is there is gone.
      if (head.kind === 'branch_gone') await readRepository(app, place, signal)
      return head
    },
    reportStatus: async (app, place, status, signal) => {
      const answer = await askAsInstallation(
        app,
        orderFor(place, { statuses: 'write' }),
        toStatusQuestion(place, status),
        signal,
      )
      expectSuccess(`report the status of the commit "${status.sha}"`, answer)
    },
    remainingBudget: (app, installationId) =>
      deps.asker.limits.budget(limitOf(app, installationId)),
  }
}

async function* listRepositories(
  app: GithubApp,
  get: (path: string) => Promise<Answer>,
): AsyncGenerator<readonly RepositoryFacts[], void, undefined> {
  const shape = z.object({ repositories: z.array(repositoryShape) })
  for await (const answer of paginate('/installation/repositories?per_page=100', get)) {
    const { repositories } = read('list repositories', answer, shape)
    yield repositories.map((repository) => toRepositoryFacts(app, repository))
  }
}

function toBranches(answer: Answer) {
  const shape = z.array(z.object({ name: z.string(), commit: z.object({ sha: commitId }) }))
  const branches = read('list branches', answer, shape).map(({ name, commit }) => ({
    name,
    head: commit.sha,
  }))
  return { branches, more: answer.next !== null }
}

/** Not `/branches/…`, which redirects from a renamed branch to another one. Null for what no branch can be called. */
function toRefPath({ repoId }: RepositoryPlace, branch: string): string | null {
  const parts = branch.split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return null
  const name = parts.map((part) => encodeURIComponent(part)).join('/')
  return `/repositories/${repoId}/git/ref/heads/${name}`
}

const refShape = z.object({
  ref: z.string(),
  object: z.object({ type: z.string(), sha: commitId }),
})

/** A repository without commits answers 409. */
function toBranchHead(
  answer: Answer,
  branch: string,
  { repoId }: RepositoryPlace,
): BranchHeadAnswer {
  if (answer.status === 304) return { kind: 'unchanged' }
  if (answer.status === 404 || answer.status === 409) return { kind: 'branch_gone' }
  const { ref, object } = read(`read a branch of the repository "${repoId}"`, answer, refShape)
  // Names that look alike are other branches.
  if (ref !== `refs/heads/${branch}`) return { kind: 'branch_gone' }
  if (object.type !== 'commit') throw invalidAnswer(answer.host, 'a branch is no commit')
  return { kind: 'found', head: object.sha, etag: answer.etag }
}

const MAX_DESCRIPTION = 140

function toStatusQuestion(
  { repoId }: RepositoryPlace,
  status: Parameters<GithubHost['reportStatus']>[2],
): Question {
  const { sha, state, description, targetUrl, context } = status
  return {
    method: 'POST',
    path: `/repositories/${repoId}/statuses/${encodeURIComponent(sha)}`,
    body: {
      state,
      context,
      description: description.slice(0, MAX_DESCRIPTION),
      ...(targetUrl === null ? {} : { target_url: targetUrl }),
    },
  }
}
