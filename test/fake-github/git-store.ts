import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'

import { runCommand } from '../../src/lib/run-command.ts'
import { createRepository as createBareRepository, GIT_ENV, runGit } from '../_git-repository.ts'
import type { GitRepository, RepositoryFiles } from '../_git-repository.ts'
import type { Github } from './github.ts'
import type { Repository } from './state.ts'

/** As GitHub serves: pushes, commits by their id while a ref leads to them, partial clones. */
const CONFIG = `[http]
\treceivepack = true
[uploadpack]
\tallowReachableSHA1InWant = true
\tallowFilter = true
`

/** What git knows of a commit. */
export interface CommitFacts {
  readonly sha: string
  readonly tree: string
  readonly parents: readonly string[]
  readonly author: Signature
  readonly committer: Signature
  readonly message: string
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly modified: readonly string[]
}

interface Signature {
  readonly name: string
  readonly email: string
  readonly date: string
}

/** Of 2,048 commits with long messages. */
const MAX_LOG_BYTES = 64 * 1024 * 1024
const RECORD = '\u001e'
const FIELD = '\u001f'
const FORMAT = `--format=${['%x1e%H', '%T', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B', ''].join('%x1f')}`

/** The bare repository, made when it is first needed: an inventory may have thousands that never are. */
export async function gitOf(github: Github, repository: Repository): Promise<GitRepository> {
  const present = github.repositories.get(repository.id)
  if (present !== undefined) return await present
  const made = initGit(github, repository, {})
  github.repositories.set(repository.id, made)
  return await made
}

/** The bare repository of a new entry, with one commit on its default branch. */
export async function fillGit(
  github: Github,
  repository: Repository,
  files: RepositoryFiles,
): Promise<void> {
  const made = initGit(github, repository, files)
  github.repositories.set(repository.id, made)
  repository.refs = await readRefs(await made)
  repository.laggingRefs = new Map(repository.refs)
}

async function initGit(
  github: Github,
  repository: Repository,
  files: RepositoryFiles,
): Promise<GitRepository> {
  const { directory, webUrl: url } = github
  const git = await createBareRepository({ directory, url, name: String(repository.id), files })
  const { defaultBranch } = repository
  const isEmpty = Object.keys(files).length === 0
  if (defaultBranch !== 'main') {
    if (!isEmpty) await git.setBranch(defaultBranch, await git.head())
    await runGit(git.directory, ['symbolic-ref', 'HEAD', `refs/heads/${defaultBranch}`])
  }
  if (defaultBranch !== 'main' || isEmpty) await git.deleteBranch('main')
  await appendFile(join(git.directory, 'config'), CONFIG)
  return git
}

export async function readRefs(git: GitRepository): Promise<Map<string, string>> {
  const text = await runGit(git.directory, ['for-each-ref', '--format=%(objectname) %(refname)'])
  const lines = text.split('\n').filter((line) => line !== '')
  return new Map(
    lines.map((line) => {
      const space = line.indexOf(' ')
      return [line.slice(space + 1), line.slice(0, space)]
    }),
  )
}

/** Makes the refs exactly these; objects are never lost, so that snapshots can go back to them. */
export async function writeRefs(
  git: GitRepository,
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  const present = await readRefs(git)
  const lines = [
    ...[...present.keys()].filter((ref) => !wanted.has(ref)).map((ref) => `delete ${ref}\n`),
    ...[...wanted].map(([ref, sha]) => `update ${ref} ${sha}\n`),
  ]
  await runGit(git.directory, ['update-ref', '--stdin'], { stdin: lines.join('') })
}

/** The commits of a range (arguments of `git log`), oldest first, at most `limit` of the newest. */
export async function readCommits(
  git: GitRepository,
  range: readonly string[],
  limit: number,
): Promise<CommitFacts[]> {
  const argv = [
    'git',
    '-c',
    'core.quotePath=false',
    'log',
    `--max-count=${limit}`,
    '--reverse',
    '--no-renames',
    '--name-status',
    '--diff-merges=first-parent',
    FORMAT,
    ...range,
    '--',
  ] as const
  const { exitCode, stdout, stderr } = await runCommand(
    { argv, cwd: git.directory, env: GIT_ENV },
    { timeoutMs: 30_000, maxOutputBytes: MAX_LOG_BYTES },
  )
  if (exitCode !== 0) throw new Error(`Cannot read the history: ${stderr}`)
  const text = stdout.trim()
  return text.split(RECORD).slice(1).map(parseCommit)
}

function parseCommit(record: string): CommitFacts {
  const fields = record.split(FIELD)
  const field = (index: number) => fields[index] ?? ''
  const changed = field(10).split('\n')
  const paths = (letter: string) => {
    return changed.filter((line) => line.startsWith(`${letter}\t`)).map((line) => line.slice(2))
  }
  return {
    sha: field(0),
    tree: field(1),
    parents: field(2)
      .split(' ')
      .filter((sha) => sha !== ''),
    author: { name: field(3), email: field(4), date: field(5) },
    committer: { name: field(6), email: field(7), date: field(8) },
    message: field(9).replace(/\n+$/, ''),
    added: paths('A'),
    removed: paths('D'),
    modified: [...paths('M'), ...paths('T')],
  }
}

/** Null when this repository has no such commit. */
export async function readCommit(git: GitRepository, sha: string): Promise<CommitFacts | null> {
  const commits = await readCommits(git, [sha], 1).catch(() => [])
  return commits[0] ?? null
}

export async function isAncestor(
  git: GitRepository,
  ancestor: string,
  descendant: string,
): Promise<boolean> {
  const args = ['merge-base', '--is-ancestor', ancestor, descendant]
  return await runGit(git.directory, args).then(
    () => true,
    () => false,
  )
}
