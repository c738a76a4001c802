import type { CommitFacts } from '../git-store.ts'
import { fullName } from '../github.ts'
import type { Github } from '../github.ts'
import { findByEmail } from '../push.ts'
import type { Repository, Schemas } from '../state.ts'
import { toAccountJson, toNodeId } from './account-json.ts'

export function toCommitJson(
  github: Github,
  repository: Repository,
  commit: CommitFacts,
): Schemas['commit'] {
  const name = fullName(github, repository)
  const api = `${github.apiUrl}/repos/${name}`
  const web = `${github.webUrl}/${name}`
  const { sha, tree, message } = commit
  const person = (email: string) => {
    const account = findByEmail(github, email)
    return account === null ? null : toAccountJson(github, account)
  }
  return {
    url: `${api}/commits/${sha}`,
    sha,
    node_id: `${toNodeId('C', repository.id)}${sha.slice(0, 8)}`,
    html_url: `${web}/commit/${sha}`,
    comments_url: `${api}/commits/${sha}/comments`,
    commit: {
      url: `${api}/git/commits/${sha}`,
      author: { ...commit.author },
      committer: { ...commit.committer },
      message,
      comment_count: 0,
      tree: { sha: tree, url: `${api}/git/trees/${tree}` },
      verification: {
        verified: false,
        reason: 'unsigned',
        signature: null,
        payload: null,
        verified_at: null,
      },
    },
    author: person(commit.author.email),
    committer: person(commit.committer.email),
    parents: commit.parents.map((parent) => ({
      sha: parent,
      url: `${api}/commits/${parent}`,
      html_url: `${web}/commit/${parent}`,
    })),
  }
}
