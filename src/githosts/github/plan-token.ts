import { OperationError } from '../../lib/errors.ts'
import type { GithubApp, Permissions, TokenOrder } from '../github-host.ts'

const MAX_REPOSITORIES = 500
const LEVELS: readonly string[] = ['read', 'write', 'admin']

/** An order as it is sent: nothing in it means "everything". */
export interface TokenPlan {
  installationId: number
  repositoryIds: readonly number[] | null
  permissions: Permissions
}

/**
 * Brings an order into its one form: sorted, each repository once, metadata:read in it, which GitHub always gives.
 * Throws `github.invalid_order` for what GitHub would take as "all": no repository, or no permission.
 */
export function planToken(order: TokenOrder): TokenPlan {
  const { installationId, repositoryIds, permissions } = order
  const names = Object.keys(permissions)
  const known = names.every((name) => {
    return /^[a-z_]{1,64}$/.test(name) && LEVELS.includes(permissions[name] ?? '')
  })
  if (names.length === 0) throw invalid('it names no permission')
  if (!known) throw invalid('it has a permission that is no name with read, write or admin')
  const sorted = { metadata: 'read', ...permissions }
  const plan = {
    installationId,
    permissions: Object.fromEntries(
      Object.entries(sorted).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ),
  }
  if (repositoryIds === null) {
    const onlyReads = names.every((name) => name === 'metadata') && sorted.metadata === 'read'
    if (!onlyReads) throw invalid('it is for all repositories and more than their metadata')
    return { ...plan, repositoryIds: null }
  }
  const ids = [...new Set(repositoryIds)].toSorted((a, b) => a - b)
  if (ids.length === 0) throw invalid('it names no repository')
  if (ids.length > MAX_REPOSITORIES) throw invalid(`it names over ${MAX_REPOSITORIES} repositories`)
  return { ...plan, repositoryIds: ids }
}

/** Equal for orders that the same token serves, and only for those: hosts and Apps number alike. */
export function keyOfToken(app: GithubApp, plan: TokenPlan): string {
  const { installationId, repositoryIds, permissions } = plan
  return JSON.stringify([
    app.apiUrl,
    app.appId,
    installationId,
    repositoryIds,
    Object.entries(permissions),
  ])
}

/** What GitHub says about a token that it gave. */
interface Given {
  permissions: Permissions
  repository_selection?: string | undefined
  repositories?: readonly { id: number }[] | undefined
}

/** In which way a token is wider than was asked for; null when it is not. */
export function findExcess(plan: TokenPlan, given: Given): string | null {
  for (const [name, level] of Object.entries(given.permissions)) {
    const asked = LEVELS.indexOf(plan.permissions[name] ?? '')
    const got = LEVELS.indexOf(level)
    if (got === -1 || got > asked) return `${name}:${level}`
  }
  if (plan.repositoryIds === null) return null
  // Without the list nothing shows that it is no other.
  if (given.repository_selection === 'all' || given.repositories === undefined) {
    return 'all repositories'
  }
  const extra = given.repositories.find(({ id }) => plan.repositoryIds?.includes(id) !== true)
  return extra === undefined ? null : `the repository ${extra.id}`
}

function invalid(reason: string): OperationError {
  return new OperationError('github.invalid_order', `Cannot ask for a token: ${reason}`)
}
