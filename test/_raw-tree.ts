import { execFileSync } from 'node:child_process'

import { GIT_ENV } from './_git-repository.ts'

/** One entry of a tree object as the bytes that git stores, also ones that `git add` would refuse. */
export interface RawEntry {
  /** A single name, or bytes that are no text. */
  name: string | Buffer
  /** The content of a file or of a symbolic link, the entries of a directory, or the commit of a submodule. */
  content:
    | { file: string }
    | { linkTo: string }
    | { tree: readonly RawEntry[] }
    | { commit: string }
}

/** Writes a commit with exactly this tree into the repository's object store, and returns its id. */
export function writeRawCommit(gitDirectory: string, entries: readonly RawEntry[]): string {
  const tree = writeTree(gitDirectory, entries)
  return git(gitDirectory, ['commit-tree', tree, '-m', 'Raw'])
}

function writeTree(gitDirectory: string, entries: readonly RawEntry[]): string {
  const lines = entries.map(({ name, content }) => {
    const facts = writeContent(gitDirectory, content)
    return Buffer.concat([Buffer.from(`${facts}\t`), Buffer.from(name), Buffer.from('\0')])
  })
  return git(gitDirectory, ['mktree', '-z', '--missing'], Buffer.concat(lines))
}

function writeContent(gitDirectory: string, content: RawEntry['content']): string {
  const blob = (text: string) => git(gitDirectory, ['hash-object', '-w', '--stdin'], text)
  if ('file' in content) return `100644 blob ${blob(content.file)}`
  if ('linkTo' in content) return `120000 blob ${blob(content.linkTo)}`
  if ('commit' in content) return `160000 commit ${content.commit}`
  return `040000 tree ${writeTree(gitDirectory, content.tree)}`
}

function git(gitDirectory: string, args: readonly string[], input: string | Buffer = ''): string {
  const author = { name: 'Ada Example', email: 'ada@example.com', date: '1767225600 +0000' }
  const env = {
    ...GIT_ENV,
    GIT_DIR: gitDirectory,
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_AUTHOR_DATE: author.date,
    GIT_COMMITTER_NAME: author.name,
    GIT_COMMITTER_EMAIL: author.email,
    GIT_COMMITTER_DATE: author.date,
  }
  return execFileSync('git', [...args], { env, input, encoding: 'utf8' }).trim()
}
