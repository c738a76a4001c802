import { entry, ownerOf } from './github.ts'
import type { Github } from './github.ts'
import { REPOSITORY_ROLES } from './state.ts'
import type {
  Account,
  App,
  Installation,
  InstallationToken,
  Level,
  Permissions,
  Repository,
  RepositoryRole,
  UserToken,
} from './state.ts'

/** Who makes a request. */
export type Actor =
  | { kind: 'anonymous' }
  /** By a JSON web token. */
  | { kind: 'app'; app: App }
  /** By client id and secret. */
  | { kind: 'client'; app: App }
  | { kind: 'installation'; installation: Installation; app: App; token: InstallationToken }
  | { kind: 'user'; user: Account; app: App | null; token: UserToken }

export interface Need {
  permission: string
  level: 'read' | 'write'
  /** What a person must be at least; by level when not said: `pull` or `push`. */
  role?: RepositoryRole
}

/** `hidden`: as if the repository did not exist. */
export type Reach = 'granted' | 'forbidden' | 'hidden'

const LEVELS: readonly Level[] = ['read', 'write', 'admin']

export function includesRole(has: RepositoryRole | null, needed: RepositoryRole): boolean {
  return has !== null && REPOSITORY_ROLES.indexOf(has) >= REPOSITORY_ROLES.indexOf(needed)
}

export function includesLevel(has: Level | undefined, needed: Level): boolean {
  return has !== undefined && LEVELS.indexOf(has) >= LEVELS.indexOf(needed)
}

export function includesPermissions(has: Permissions, wanted: Permissions): boolean {
  return Object.entries(wanted).every(([name, level]) => includesLevel(has[name], level))
}

/** What somebody may do by themselves; null when not even read a private repository. */
export function findRole(
  github: Github,
  user: Account,
  repository: Repository,
): RepositoryRole | null {
  const owner = ownerOf(github, repository)
  if (owner.id === user.id || owner.members.get(user.id) === 'admin') return 'admin'
  const invited = repository.collaborators.get(user.id) ?? null
  const asMember = owner.members.has(user.id) ? owner.basePermission : null
  const best = REPOSITORY_ROLES.findLast((role) => role === invited || role === asMember)
  return best ?? (repository.private ? null : 'pull')
}

/** The permissions of a repository's JSON. */
export function toPermissionFlags(role: RepositoryRole | null): Record<RepositoryRole, boolean> {
  return {
    admin: includesRole(role, 'admin'),
    maintain: includesRole(role, 'maintain'),
    push: includesRole(role, 'push'),
    triage: includesRole(role, 'triage'),
    pull: includesRole(role, 'pull'),
  }
}

export function repositoriesOf(github: Github, installation: Installation): Repository[] {
  const all = [...github.state.repositories.values()].filter((repository) => {
    return repository.ownerId === installation.accountId
  })
  if (installation.selection === 'all') return all
  return all.filter(({ id }) => installation.repositoryIds.includes(id))
}

export function findReach(github: Github, actor: Actor, repository: Repository, need: Need): Reach {
  const isPublicRead = !repository.private && need.level === 'read' && need.role === undefined
  if (actor.kind === 'user') return reachOfUser(github, actor, repository, need)
  const reached =
    actor.kind === 'installation'
      ? reachOfInstallation(github, actor.installation, repository, need, actor.token)
      : 'hidden'
  return reached === 'hidden' && isPublicRead ? 'granted' : reached
}

function reachOfInstallation(
  github: Github,
  installation: Installation,
  repository: Repository,
  need: Need,
  token?: InstallationToken,
): Reach {
  const isIncluded = repositoriesOf(github, installation).includes(repository)
  const isNarrowedAway = token?.repositoryIds?.includes(repository.id) === false
  if (!isIncluded || isNarrowedAway) return 'hidden'
  const { permission, level } = need
  const isGranted =
    permission === 'metadata' ||
    // An owner who takes a permission back takes it from the tokens that have it too.
    (includesLevel(installation.permissions[permission], level) &&
      (token === undefined || includesLevel(token.permissions[permission], level)))
  return isGranted ? 'granted' : 'forbidden'
}

function reachOfUser(
  github: Github,
  { user, app, token }: Extract<Actor, { kind: 'user' }>,
  repository: Repository,
  need: Need,
): Reach {
  const role = findRole(github, user, repository)
  if (role === null) return 'hidden'
  const needed = need.role ?? (need.level === 'read' ? 'pull' : 'push')
  const isPublicRead = !repository.private && needed === 'pull'
  if (isPublicRead) return 'granted'
  if (app === null) {
    if (!token.scopes.includes('repo') && repository.private) return 'hidden'
  } else {
    const installation = findInstallation(github, app, repository)
    if (installation === null || installation.suspended !== null) {
      return repository.private ? 'hidden' : 'forbidden'
    }
    if (reachOfInstallation(github, installation, repository, need) !== 'granted') {
      return 'forbidden'
    }
  }
  if (includesRole(role, needed)) return 'granted'
  // GitHub hides what only administrators may see from everybody else.
  return needed === 'admin' ? 'hidden' : 'forbidden'
}

/** Of this App, with this repository in it. */
export function findInstallation(
  github: Github,
  app: App,
  repository: Repository,
): Installation | null {
  for (const installation of github.state.installations.values()) {
    if (installation.appId !== app.id) continue
    if (repositoriesOf(github, installation).includes(repository)) return installation
  }
  return null
}

/** Whether somebody may install Apps on an account and configure them. */
export function administers(user: Account, account: Account): boolean {
  return user.id === account.id || account.members.get(user.id) === 'admin'
}

export function appOf(github: Github, installation: Installation): App {
  return entry(github.state.apps, installation.appId)
}
