import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { runCommand } from '../src/lib/run-command.ts'

/** Content of a file, a link to follow, or null to delete it. */
export type RepositoryFile = string | Buffer | { linkTo: string } | null
export type RepositoryFiles = Readonly<Record<string, RepositoryFile>>

export interface GitRepository {
  readonly name: string
  /** `http://127.0.0.1:<port>/<name>.git` */
  readonly url: string
  /** The bare repository itself. */
  readonly directory: string
  /** Adds a commit on top of the branch (created when missing) and returns its id. Files not named stay. */
  push(files: RepositoryFiles, message?: string, branch?: string): Promise<string>
  /** Replaces the branch by a history of one new commit that has nothing in common with the old one. */
  forcePush(files: RepositoryFiles, message?: string, branch?: string): Promise<string>
  /** Points a branch at a commit that exists. */
  setBranch(branch: string, sha: string): Promise<void>
  deleteBranch(branch: string): Promise<void>
  head(branch?: string): Promise<string>
}

/** The whole environment of a git of the tests: nothing of the machine's own configuration. */
export const GIT_ENV = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
}

/** Commits have one author and times that only depend on their order, so that ids are the same in every run. */
function commitEnv(count: number): Record<string, string> {
  const date = `${1_767_225_600 + count * 60} +0000`
  return {
    GIT_AUTHOR_NAME: 'Ada Example',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: 'Ada Example',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
    GIT_COMMITTER_DATE: date,
  }
}

export async function runGit(
  cwd: string,
  args: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<string> {
  const result = await runCommand(
    { argv: ['git', ...args], cwd, env: { ...GIT_ENV, ...options.env } },
    { timeoutMs: 30_000, stdin: options.stdin ?? '' },
  )
  if (result.exitCode !== 0) throw new Error(`git ${args.join(' ')} failed: ${result.stderr}`)
  return result.stdout.trim()
}

/** A bare repository below `directory` with one commit on `main`, served at `<url>/<name>.git`. */
export async function createRepository(options: {
  directory: string
  url: string
  name: string
  files: RepositoryFiles
}): Promise<GitRepository> {
  const { name, files } = options
  const bare = join(options.directory, `${name}.git`)
  const work = join(options.directory, `${name}.work`)
  await mkdir(work, { recursive: true })
  await mkdir(bare, { recursive: true })
  await runGit(bare, ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', '.'])
  let commits = 0

  const commit = async (change: RepositoryFiles, message: string, parent: string | null) => {
    const env = {
      ...commitEnv(commits++),
      GIT_DIR: bare,
      GIT_WORK_TREE: work,
      GIT_INDEX_FILE: join(work, '.index'),
    }
    const start = parent === null ? ['read-tree', '--empty'] : ['read-tree', parent]
    await runGit(work, start, { env })
    for (const [path, file] of Object.entries(change)) {
      await rm(join(work, path), { recursive: true, force: true })
      if (file !== null) await writeEntry(join(work, path), file)
    }
    const paths = `${Object.keys(change).join('\0')}\0`
    if (paths !== '\0')
      await runGit(work, ['update-index', '--add', '--remove', '-z', '--stdin'], {
        env,
        stdin: paths,
      })
    const tree = await runGit(work, ['write-tree'], { env })
    const parents = parent === null ? [] : ['-p', parent]
    return await runGit(work, ['commit-tree', tree, ...parents], { env, stdin: message })
  }
  const setBranch = async (branch: string, sha: string) => {
    await runGit(bare, ['update-ref', '--', `refs/heads/${branch}`, sha])
  }
  const find = async (branch: string) => {
    const refs = await runGit(bare, ['for-each-ref', '--format=%(objectname) %(refname)'])
    const line = refs.split('\n').find((line) => line.slice(41) === `refs/heads/${branch}`)
    return line?.slice(0, 40) ?? null
  }
  const repository: GitRepository = {
    name,
    url: `${options.url}/${name}.git`,
    directory: bare,
    push: async (change, message = 'Change', branch = 'main') => {
      const sha = await commit(change, message, await find(branch))
      await setBranch(branch, sha)
      return sha
    },
    forcePush: async (change, message = 'Start over', branch = 'main') => {
      const sha = await commit(change, message, null)
      await setBranch(branch, sha)
      return sha
    },
    setBranch,
    deleteBranch: async (branch) => {
      await runGit(bare, ['update-ref', '-d', `refs/heads/${branch}`])
    },
    head: async (branch = 'main') => {
      const sha = await find(branch)
      if (sha === null) throw new Error(`No branch "${branch}" in ${name}`)
      return sha
    },
  }
  await repository.push(files, 'Start')
  return repository
}

async function writeEntry(path: string, file: Exclude<RepositoryFile, null>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  if (typeof file === 'string' || Buffer.isBuffer(file)) return await writeFile(path, file)
  await symlink(file.linkTo, path)
}
