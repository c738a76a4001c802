import { once } from 'node:events'
import { cp, mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'

import { gitEnvironment, runGit } from './demo-git.ts'
import { serveGit } from './git-backend.ts'

export interface DemoRepositories extends AsyncDisposable {
  /** As the Git host that NanoScale may fetch from: `127.0.0.1:<port>@private`. */
  hostEntry: string
  /** Makes a repository of a directory's files, with one commit on `main`. */
  create(name: string, from: string): Promise<DemoRepository>
}

export interface DemoRepository {
  url: string
  /** Where its files are, to be changed before a push. */
  workTree: string
  /** Commits all that changed, pushes it and returns the commit's id. */
  push(message: string): Promise<string>
}

/** Real Git repositories below `directory`, served on a port of loopback. */
export async function serveDemoRepositories(directory: string): Promise<DemoRepositories> {
  const served = path.join(directory, 'served')
  await mkdir(served, { recursive: true })
  const env = gitEnvironment(directory)
  const git = (...args: string[]) => runGit(directory, ...args)
  const backend = path.join(await git('--exec-path'), 'git-http-backend')
  const server = createServer((request, response) => {
    serveGit({ request, response, backend, directory: served, env })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0

  const create = async (name: string, from: string): Promise<DemoRepository> => {
    const bare = path.join(served, `${name}.git`)
    const workTree = path.join(directory, name)
    await git('init', '--quiet', '--bare', '--initial-branch=main', bare)
    await git('init', '--quiet', '--initial-branch=main', workTree)
    await cp(from, workTree, { recursive: true })
    const push = async (message: string) => {
      await git('-C', workTree, 'add', '--all')
      await git('-C', workTree, 'commit', '--quiet', '--message', message)
      await git('-C', workTree, 'push', '--quiet', bare, 'main')
      return await git('-C', workTree, 'rev-parse', 'HEAD')
    }
    await push('Start')
    return { url: `http://127.0.0.1:${port}/${name}.git`, workTree, push }
  }
  return {
    hostEntry: `127.0.0.1:${port}@private`,
    create,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
