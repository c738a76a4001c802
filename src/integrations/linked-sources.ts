import { inTransaction } from '../database/in-transaction.ts'
import type { ProjectGithubLinkTable } from '../database/webhook-tables.ts'
import type { GithubApp, RepositoryFacts } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import { isOperationError, OperationError } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import { loadGithubApp } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { saveRepositoryNames } from './project-links.ts'

interface ProjectSource {
  projectId?: string
}

/** How a linked repository is fetched at this moment: where, and as whom. */
export interface GithubAccess {
  repoUrl: string
  credential: { origin: string; username: string; password: Secret }
}

type Head = { kind: 'found'; sha: string } | { kind: 'branch_gone' }

/** Reading repositories of GitHub for the projects that are linked to them. */
export interface LinkedSources {
  /** Null for projects with another kind of source. */
  forProject(source: ProjectSource, signal: AbortSignal): Promise<GithubAccess | null>
  /** `ask_git` for other projects, and where GitHub's API does not answer or should be spared. */
  readHead(
    source: ProjectSource,
    branch: string,
    signal: AbortSignal,
  ): Promise<Head | { kind: 'ask_git' }>
}

/** What a name stands for is asked again after this. */
const NAME_FRESH_MS = 15_000
/** When GitHub's API does not answer, a name is believed for so long. */
const NAME_BELIEVED_MS = 10 * 60 * 1000
const MAX_NAMES = 10_000
/** Of the rate limit; what is left is for what Git cannot do. */
const SPARED_SHARE = 0.05

interface Named {
  facts: RepositoryFacts
  at: number
}

/**
 * Repositories are known by their ids: a name may be somebody else's tomorrow. So before each fetch GitHub is asked what
 * the repository is called, and the token opens that one repository alone, for reading, for an hour at most.
 */
export function createLinkedSources(deps: IntegrationDeps): LinkedSources {
  const names = new Map<string, Named>()
  return {
    forProject: async (source, signal) => {
      const link = await readLink(deps, source)
      if (link === null) return null
      const app = await loadGithubApp(deps, link.integration_id)
      const facts = await readName(deps, names, { app, link }, signal)
      const order = {
        installationId: link.installation_id,
        repositoryIds: [link.repo_id],
        permissions: { contents: 'read' },
      }
      const { token } = await deps.github.mintToken(app, order, signal)
      const credential = { origin: new URL(app.webUrl).origin, username: 'x-access-token' }
      return { repoUrl: facts.cloneUrl, credential: { ...credential, password: token } }
    },
    readHead: async (source, branch, signal) => {
      const link = await readLink(deps, source)
      if (link === null) return { kind: 'ask_git' }
      const app = await loadGithubApp(deps, link.integration_id)
      const budget = deps.github.remainingBudget(app, link.installation_id)
      if (budget !== null && budget.remaining < budget.limit * SPARED_SHARE) {
        if (Date.parse(budget.resetAt) > deps.clock.now()) return { kind: 'ask_git' }
      }
      try {
        return await readHead(deps, app, { link, branch }, signal)
      } catch (error) {
        if (GIT_MAY_KNOW.some((code) => isOperationError(error, code))) return { kind: 'ask_git' }
        throw error
      }
    },
  }
}

const GIT_MAY_KNOW = ['github.rate_limited', 'github.unreachable', 'github.invalid_answer']

async function readLink(
  { db }: Pick<IntegrationDeps, 'db'>,
  { projectId }: ProjectSource,
): Promise<ProjectGithubLinkTable | null> {
  if (projectId === undefined) return null
  const link = await db
    .selectFrom('project_github_links')
    .selectAll()
    .where('project_id', '=', projectId)
    .executeTakeFirst()
  if (link === undefined) return null
  if (link.active) return link
  const why = REASONS.get(link.inactive_reason ?? '') ?? 'its connection to GitHub has ended'
  throw new OperationError('github.link_inactive', `Cannot read "${link.full_name}": ${why}`)
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['installation_deleted', 'the GitHub App was uninstalled there'],
  ['installation_suspended', 'the installation of the GitHub App is suspended there'],
  ['repository_removed', 'the GitHub App was not given this repository any more'],
  ['account_disconnected', 'the person who linked it disconnected their account at GitHub'],
  ['member_removed', 'the person who linked it left the organization'],
])

interface Linked {
  app: GithubApp
  link: ProjectGithubLinkTable
}

async function readName(
  deps: IntegrationDeps,
  names: Map<string, Named>,
  { app, link }: Linked,
  signal: AbortSignal,
): Promise<RepositoryFacts> {
  const key = `${link.integration_id} ${link.installation_id} ${link.repo_id}`
  const known = names.get(key)
  const now = deps.clock.now()
  if (known !== undefined && now - known.at < NAME_FRESH_MS) return known.facts
  try {
    const place = { installationId: link.installation_id, repoId: link.repo_id }
    const facts = await deps.github.readRepository(app, place, signal)
    names.delete(key)
    names.set(key, { facts, at: now })
    const [oldest] = names.keys()
    if (names.size > MAX_NAMES && oldest !== undefined) names.delete(oldest)
    if (facts.fullName !== link.full_name) {
      const at = toIsoTime(now)
      await inTransaction(deps.db, (tx) => saveRepositoryNames(tx, app.integrationId, facts, at))
    }
    return facts
  } catch (error) {
    const isBelieved = known !== undefined && now - known.at < NAME_BELIEVED_MS
    if (isBelieved && GIT_MAY_KNOW.some((code) => isOperationError(error, code))) {
      return known.facts
    }
    throw error
  }
}

/** With the ETag of what GitHub showed last: while nothing changes, asking costs nothing of the rate limit. */
async function readHead(
  deps: IntegrationDeps,
  app: GithubApp,
  { link, branch }: { link: ProjectGithubLinkTable; branch: string },
  signal: AbortSignal,
): Promise<Head> {
  const { integration_id, repo_id } = link
  const known = await deps.db
    .selectFrom('branch_heads')
    .select(['head', 'etag'])
    .where('integration_id', '=', integration_id)
    .where('repo_id', '=', repo_id)
    .where('branch', '=', branch)
    .executeTakeFirst()
  const place = { installationId: link.installation_id, repoId: repo_id }
  const etag = known?.etag ?? null
  const answer = await deps.github.readBranchHead(app, place, branch, etag, signal)
  if (answer.kind === 'branch_gone') return answer
  if (answer.kind === 'unchanged') {
    if (known !== undefined) return { kind: 'found', sha: known.head }
    const sentence = `Cannot read "${link.full_name}": GitHub says that nothing changed since a first look`
    throw new OperationError('github.invalid_answer', sentence)
  }
  const read = {
    head: answer.head,
    etag: answer.etag,
    read_at: toIsoTime(deps.clock.now()),
  }
  await deps.db
    .insertInto('branch_heads')
    .values({ integration_id, repo_id, branch, ...read })
    .onConflict((on) => on.columns(['integration_id', 'repo_id', 'branch']).doUpdateSet(read))
    .execute()
  return { kind: 'found', sha: answer.head }
}
