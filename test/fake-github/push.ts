import { emitRepositoryEvent } from './events.ts'
import { gitOf, isAncestor, readCommit, readCommits, readRefs } from './git-store.ts'
import type { CommitFacts } from './git-store.ts'
import { fullName, now, track } from './github.ts'
import type { Github } from './github.ts'
import { toPushRepositoryJson } from './json/repository-json.ts'
import type { Account, Repository, Schemas } from './state.ts'

const NO_COMMIT = '0'.repeat(40)
/** A payload has at most so many commits, the newest. */
const MAX_COMMITS = 2048
/** More tags than this in one push are no event at all. */
const MAX_TAGS = 3

type PushPayload = Omit<Schemas['webhook-push'], 'sender'>
type PushCommit = PushPayload['commits'][number]

interface RefChange {
  ref: string
  before: string
  after: string
}

/** The last push of each repository, so that they come one after another. */
const queues = new WeakMap<Github, Map<number, Promise<unknown>>>()

/** Does what changes refs, notes the difference and tells the hooks. */
export async function withPush<Result>(
  github: Github,
  repository: Repository,
  pusher: Account,
  change: () => Promise<Result>,
): Promise<Result> {
  const byRepository = queues.get(github) ?? new Map<number, Promise<unknown>>()
  queues.set(github, byRepository)
  const previous = byRepository.get(repository.id) ?? Promise.resolve()
  const work = previous.then(async () => {
    const result = await change()
    await notePush(github, repository, pusher)
    return result
  })
  byRepository.set(
    repository.id,
    work.catch(() => {}),
  )
  track(github, work)
  return await work
}

/** Resolves when no push to the repository is under way. */
export async function pushesDone(github: Github, repository: Repository): Promise<void> {
  await queues.get(github)?.get(repository.id)
}

async function notePush(github: Github, repository: Repository, pusher: Account): Promise<void> {
  const before = repository.refs
  const after = await readRefs(await gitOf(github, repository))
  const changes = findChanges(before, after)
  if (changes.length === 0) return
  repository.laggingRefs = before
  repository.refs = after
  repository.pushedAt = now(github)
  const tags = changes.filter(({ ref }) => ref.startsWith('refs/tags/'))
  for (const changed of changes) {
    if (tags.length > MAX_TAGS && tags.includes(changed)) continue
    const payload = await describePush(github, repository, pusher, changed, before)
    emitRepositoryEvent(github, {
      event: 'push',
      repository,
      sender: pusher,
      payload: { ...payload },
    })
  }
}

function findChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): RefChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((ref) => {
      return { ref, before: before.get(ref) ?? NO_COMMIT, after: after.get(ref) ?? NO_COMMIT }
    })
    .filter(({ before, after }) => before !== after)
}

async function describePush(
  github: Github,
  repository: Repository,
  pusher: Account,
  { ref, before, after }: RefChange,
  refsBefore: ReadonlyMap<string, string>,
): Promise<Omit<PushPayload, 'organization' | 'installation'>> {
  const git = await gitOf(github, repository)
  const created = before === NO_COMMIT
  const deleted = after === NO_COMMIT
  const forced = !created && !deleted && !(await isAncestor(git, before, after))
  const isTag = ref.startsWith('refs/tags/')
  const known = created ? [...new Set(refsBefore.values())] : [before]
  const range = [after, ...known.map((sha) => `^${sha}`)]
  const commits = deleted || isTag ? [] : await readCommits(git, range, MAX_COMMITS)
  const web = `${github.webUrl}/${fullName(github, repository)}`
  const newest = commits.at(-1)
  const head = newest?.sha === after ? newest : deleted ? null : await readCommit(git, after)
  const toCommit = (commit: CommitFacts) => toPushCommit(github, web, commit)
  const base = [...refsBefore].find(([name, sha]) => sha === after && name !== ref)?.[0] ?? null
  return {
    ref,
    before,
    after,
    repository: toPushRepositoryJson(github, repository),
    pusher: { name: pusher.login, email: pusher.emails[0]?.email ?? null },
    created,
    deleted,
    forced,
    base_ref: created ? base : null,
    compare: toCompareUrl(web, { ref, before, after }),
    commits: commits.map(toCommit),
    head_commit: head === null ? null : toCommit(head),
  }
}

function toCompareUrl(web: string, { ref, before, after }: RefChange): string {
  const name = ref.replace(/^refs\/(heads|tags)\//, '')
  if (before === NO_COMMIT) return `${web}/compare/${name}`
  return `${web}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`
}

function toPushCommit(github: Github, web: string, commit: CommitFacts): PushCommit {
  const { sha, tree, message, added, removed, modified } = commit
  return {
    id: sha,
    tree_id: tree,
    distinct: true,
    message,
    timestamp: commit.committer.date,
    url: `${web}/commit/${sha}`,
    author: toPushPerson(github, commit.author),
    committer: toPushPerson(github, commit.committer),
    added: [...added],
    removed: [...removed],
    modified: [...modified],
  }
}

function toPushPerson(github: Github, { name, email }: CommitFacts['author']) {
  const account = findByEmail(github, email)
  return { name, email, ...(account === null ? {} : { username: account.login }) }
}

/** Whoever has this address, verified: the only link between a commit and an account. */
export function findByEmail(github: Github, email: string): Account | null {
  const wanted = email.toLowerCase()
  for (const account of github.state.accounts.values()) {
    const has = account.emails.some(({ email, verified }) => {
      return verified && email.toLowerCase() === wanted
    })
    if (has) return account
  }
  return null
}
