import type { IncomingMessage, ServerResponse } from 'node:http'

import { serveGit } from '../../src/cli/demo/git-backend.ts'
import { GIT_ENV } from '../_git-repository.ts'
import { findReach } from './access.ts'
import type { Actor } from './access.ts'
import { ApiError } from './answer.ts'
import { authenticate } from './authenticate.ts'
import { gitOf } from './git-store.ts'
import { botOf, entry, findRepository } from './github.ts'
import type { Github } from './github.ts'
import { withPush } from './push.ts'
import type { Account, Repository } from './state.ts'

interface GitRequest {
  name: string
  /** `/info/refs`, `/git-upload-pack`, `/git-receive-pack`. */
  rest: string
  isWrite: boolean
}

/** A request of a Git client, or null for any other. */
export function parseGitRequest(url: URL, method: string): GitRequest | null {
  const found =
    /^\/([^/]+\/[^/]+?)(?:\.git)?(\/info\/refs|\/git-upload-pack|\/git-receive-pack)$/.exec(
      url.pathname,
    )
  if (found === null) return null
  const [, name = '', rest = ''] = found
  const service = rest === '/info/refs' ? url.searchParams.get('service') : rest.slice(1)
  if ((method === 'GET') !== (rest === '/info/refs')) return null
  return { name, rest, isWrite: service === 'git-receive-pack' }
}

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  url: URL
  maxBytes?: number
}

/** Smart HTTP for whom the token lets, by git's own backend. A push is noted when it is done. */
export async function serveRepository(
  github: Github,
  exchange: Exchange,
  asked: GitRequest,
): Promise<void> {
  const { request, response, url, maxBytes } = exchange
  const admitted = admit(github, request, asked, url)
  if ('status' in admitted) {
    response.writeHead(admitted.status, admitted.headers).end(admitted.text)
    request.resume()
    return
  }
  const { repository, actor } = admitted
  await gitOf(github, repository)
  const run = () =>
    new Promise<void>((resolve) => {
      response.once('close', resolve)
      request.url = `/${repository.id}.git${asked.rest}${url.search}`
      serveGit({
        request,
        response,
        backend: github.gitBackend,
        directory: github.directory,
        env: { ...GIT_ENV, REMOTE_USER: actor.kind },
        ...(maxBytes === undefined ? {} : { maxBytes }),
      })
    })
  const isPush = asked.isWrite && asked.rest === '/git-receive-pack'
  if (!isPush) return await run()
  await withPush(github, repository, findPusher(actor), run)
}

interface Refusal {
  status: number
  headers: Record<string, string>
  text: string
}

function admit(
  github: Github,
  request: IncomingMessage,
  asked: GitRequest,
  url: URL,
): { repository: Repository; actor: Actor } | Refusal {
  const headers = { 'content-type': 'text/plain' }
  let actor: Actor
  try {
    actor = authenticate(github, request.headers.authorization)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (error.status === 403) return { status: 403, headers, text: error.message }
    return challenge('Invalid username or token.')
  }
  const found = findRepository(github, asked.name)
  const moved = found === null ? findMoved(github, asked.name) : null
  const repository = found ?? moved
  const level = asked.isWrite ? 'write' : 'read'
  const reach =
    repository === null
      ? 'hidden'
      : findReach(github, actor, repository, { permission: 'contents', level })
  if (repository === null || reach === 'hidden') {
    if (actor.kind === 'anonymous') return challenge('Repository not found.')
    return { status: 404, headers, text: 'Repository not found.' }
  }
  if (asked.isWrite && actor.kind === 'anonymous') return challenge('Authentication required.')
  if (reach === 'forbidden') return { status: 403, headers, text: 'Write access not granted.' }
  if (asked.isWrite && repository.archived) {
    return { status: 403, headers, text: 'This repository was archived so it is read-only.' }
  }
  if (repository.disabled) return { status: 403, headers, text: 'Repository is disabled.' }
  if (moved === null) return { repository, actor }
  const owner = entry(github.state.accounts, moved.ownerId)
  const location = `${github.webUrl}/${owner.login}/${moved.name}.git${asked.rest}${url.search}`
  return { status: 301, headers: { location }, text: '' }
}

function challenge(text: string): Refusal {
  const headers = { 'content-type': 'text/plain', 'www-authenticate': 'Basic realm="GitHub"' }
  return { status: 401, headers, text }
}

function findMoved(github: Github, name: string): Repository | null {
  const id = github.state.formerNames.get(name.toLowerCase())
  return id === undefined ? null : (github.state.repositories.get(id) ?? null)
}

function findPusher(actor: Actor): Account {
  if (actor.kind === 'user') return actor.user
  if (actor.kind === 'installation') return botOf(actor.app)
  throw new Error('Cannot note a push: nobody made it')
}
