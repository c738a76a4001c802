import type { Github } from '../github.ts'
import { toTime } from '../github.ts'
import type { Account, Schemas } from '../state.ts'

/** The id that GraphQL knows a thing by. */
export function toNodeId(prefix: string, id: number): string {
  return `${prefix}_${Buffer.from(String(id)).toString('base64url')}`
}

export function toAccountJson(github: Github, account: Account) {
  const { id, login, type } = account
  const url = `${github.apiUrl}/users/${login}`
  return {
    login,
    id,
    node_id: toNodeId(type === 'User' ? 'U' : 'O', id),
    avatar_url: `${github.webUrl}/avatars/u/${id}`,
    gravatar_id: '',
    url,
    html_url: `${github.webUrl}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type,
    site_admin: false,
  } satisfies Schemas['simple-user']
}

export function toOrganizationJson(
  github: Github,
  account: Account,
): Schemas['organization-simple-webhooks'] {
  const { id, login } = account
  const url = `${github.apiUrl}/orgs/${login}`
  return {
    login,
    id,
    node_id: toNodeId('O', id),
    url,
    repos_url: `${url}/repos`,
    events_url: `${url}/events`,
    hooks_url: `${url}/hooks`,
    issues_url: `${url}/issues`,
    members_url: `${url}/members{/member}`,
    public_members_url: `${url}/public_members{/member}`,
    avatar_url: `${github.webUrl}/avatars/u/${id}`,
    description: account.name,
  }
}

/** `GET /user` of a token that may not read private details: its e-mail address is the public one. */
export function toUserJson(github: Github, account: Account): Schemas['public-user'] {
  const created = toTime(account.createdAt)
  return {
    ...toAccountJson(github, account),
    name: account.name,
    company: null,
    blog: null,
    location: null,
    email: null,
    hireable: null,
    bio: null,
    twitter_username: null,
    public_repos: countRepositories(github, account),
    public_gists: 0,
    followers: 0,
    following: 0,
    created_at: created,
    updated_at: created,
  }
}

function countRepositories(github: Github, account: Account): number {
  const all = [...github.state.repositories.values()]
  return all.filter(({ ownerId, private: isPrivate }) => ownerId === account.id && !isPrivate)
    .length
}
