import { toPermissionFlags } from '../access.ts'
import { fullName, ownerOf, toTime } from '../github.ts'
import type { Github } from '../github.ts'
import type { Repository, RepositoryRole, Schemas } from '../state.ts'
import { toAccountJson, toNodeId } from './account-json.ts'

/** `/repos/{owner}/{repo}` and what hangs below it, as every representation of a repository lists it. */
function toUrls(github: Github, repository: Repository) {
  const name = fullName(github, repository)
  const url = `${github.apiUrl}/repos/${name}`
  const web = `${github.webUrl}/${name}`
  const host = new URL(github.webUrl).host
  return {
    html_url: web,
    url,
    archive_url: `${url}/{archive_format}{/ref}`,
    assignees_url: `${url}/assignees{/user}`,
    blobs_url: `${url}/git/blobs{/sha}`,
    branches_url: `${url}/branches{/branch}`,
    collaborators_url: `${url}/collaborators{/collaborator}`,
    comments_url: `${url}/comments{/number}`,
    commits_url: `${url}/commits{/sha}`,
    compare_url: `${url}/compare/{base}...{head}`,
    contents_url: `${url}/contents/{+path}`,
    contributors_url: `${url}/contributors`,
    deployments_url: `${url}/deployments`,
    downloads_url: `${url}/downloads`,
    events_url: `${url}/events`,
    forks_url: `${url}/forks`,
    git_commits_url: `${url}/git/commits{/sha}`,
    git_refs_url: `${url}/git/refs{/sha}`,
    git_tags_url: `${url}/git/tags{/sha}`,
    hooks_url: `${url}/hooks`,
    issue_comment_url: `${url}/issues/comments{/number}`,
    issue_events_url: `${url}/issues/events{/number}`,
    issues_url: `${url}/issues{/number}`,
    keys_url: `${url}/keys{/key_id}`,
    labels_url: `${url}/labels{/name}`,
    languages_url: `${url}/languages`,
    merges_url: `${url}/merges`,
    milestones_url: `${url}/milestones{/number}`,
    notifications_url: `${url}/notifications{?since,all,participating}`,
    pulls_url: `${url}/pulls{/number}`,
    releases_url: `${url}/releases{/id}`,
    stargazers_url: `${url}/stargazers`,
    statuses_url: `${url}/statuses/{sha}`,
    subscribers_url: `${url}/subscribers`,
    subscription_url: `${url}/subscription`,
    tags_url: `${url}/tags`,
    teams_url: `${url}/teams`,
    trees_url: `${url}/git/trees{/sha}`,
    clone_url: `${web}.git`,
    git_url: `git://${host}/${name}.git`,
    ssh_url: `git@${host}:${name}.git`,
    svn_url: web,
    mirror_url: null,
  }
}

function toCommon(github: Github, repository: Repository) {
  return {
    id: repository.id,
    node_id: toNodeId('R', repository.id),
    name: repository.name,
    full_name: fullName(github, repository),
    private: repository.private,
    description: repository.description,
    fork: false,
    ...toUrls(github, repository),
    homepage: null,
    language: null,
    size: 0,
    stargazers_count: 0,
    watchers_count: 0,
    forks_count: 0,
    open_issues_count: 0,
    forks: 0,
    open_issues: 0,
    watchers: 0,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    archived: repository.archived,
    disabled: repository.disabled,
    visibility: repository.private ? ('private' as const) : ('public' as const),
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    custom_properties: {},
    license: null,
    default_branch: repository.defaultBranch,
  }
}

/** As in lists; `role` is what the asker may do, null for an App that asks for itself. */
export function toRepositoryJson(
  github: Github,
  repository: Repository,
  role: RepositoryRole | null,
) {
  return {
    ...toCommon(github, repository),
    owner: toAccountJson(github, ownerOf(github, repository)),
    created_at: toTime(repository.createdAt),
    updated_at: toTime(repository.pushedAt),
    pushed_at: toTime(repository.pushedAt),
    permissions: toPermissionFlags(role),
  } satisfies Schemas['repository']
}

export function toFullRepositoryJson(
  github: Github,
  repository: Repository,
  role: RepositoryRole | null,
): Schemas['full-repository'] {
  return {
    ...toRepositoryJson(github, repository, role),
    ...toCommon(github, repository),
    created_at: toTime(repository.createdAt),
    updated_at: toTime(repository.pushedAt),
    pushed_at: toTime(repository.pushedAt),
    subscribers_count: 0,
    network_count: 0,
  }
}

export function toWebhookRepositoryJson(
  github: Github,
  repository: Repository,
): Schemas['repository-webhooks'] {
  return {
    ...toCommon(github, repository),
    owner: toAccountJson(github, ownerOf(github, repository)),
    created_at: toTime(repository.createdAt),
    updated_at: toTime(repository.pushedAt),
    pushed_at: toTime(repository.pushedAt),
  }
}

/** In a `push` some times are seconds, and the owner has a name: relics that receivers must stand. */
export function toPushRepositoryJson(
  github: Github,
  repository: Repository,
): Schemas['webhook-push']['repository'] {
  const owner = ownerOf(github, repository)
  const common = toCommon(github, repository)
  const email = owner.emails[0]?.email ?? null
  return {
    ...common,
    url: common.html_url,
    owner: { ...toAccountJson(github, owner), type: owner.type, name: owner.login, email },
    ...(owner.type === 'Organization' ? { organization: owner.login } : {}),
    created_at: Math.floor(repository.createdAt / 1000),
    updated_at: toTime(repository.pushedAt),
    pushed_at: Math.floor(repository.pushedAt / 1000),
    stargazers: 0,
    master_branch: repository.defaultBranch,
  }
}

export interface ShortRepositoryJson {
  id: number
  node_id: string
  name: string
  full_name: string
  private: boolean
}

/** As events of installations list repositories. */
export function toShortRepositoryJson(github: Github, repository: Repository): ShortRepositoryJson {
  const { id, name } = repository
  return {
    id,
    node_id: toNodeId('R', id),
    name,
    full_name: fullName(github, repository),
    private: repository.private,
  }
}
