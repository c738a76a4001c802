import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { serveGit } from '../src/cli/demo/git-backend.ts'
import { createRepository, GIT_ENV, runGit } from './_git-repository.ts'
import type { GitRepository, RepositoryFiles } from './_git-repository.ts'

/** What the next requests get instead of an answer of git's. */
export type GitHostFault =
  | { kind: 'status'; status: number; headers?: Readonly<Record<string, string>> }
  | { kind: 'redirect'; location: string }
  /** Never answers; ends when the client or the host goes away. */
  | { kind: 'hang' }
  /** Answers rightly, but late. */
  | { kind: 'delay'; ms: number }
  /** Ends the answer's body, and the connection, after so many bytes. */
  | { kind: 'truncate'; bytes: number }
  /** Advertises refs without end; stops when the client goes away. */
  | { kind: 'endless' }
  /** Closes the connection without a byte. */
  | { kind: 'reset' }

export interface GitHost extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** As an entry of the list of Git hosts: `127.0.0.1:<port>@private`. */
  readonly hostEntry: string
  readonly port: number
  /** `METHOD /path` of every request so far, in order. */
  readonly requests: readonly string[]
  /** Every `Authorization` header that was ever sent here. */
  readonly credentials: readonly string[]
  /** Requests whose line contains `text`. */
  count(text: string): number
  /** The next `times` requests (those whose line contains `only`, when given) meet this fault. */
  inject(fault: GitHostFault, options?: { times?: number; only?: string }): void
  clearFaults(): void
  createRepository(name: string, files: RepositoryFiles): Promise<GitRepository>
}

interface PendingFault {
  fault: GitHostFault
  times: number
  only: string
}

/** A real Git host on loopback: smart HTTP by `git http-backend` over bare repositories in a temp directory. */
export async function startGitHost(options: { port?: number } = {}): Promise<GitHost> {
  const directory = await mkdtemp(join(tmpdir(), 'git-host-'))
  const backend = join(await runGit(directory, ['--exec-path']), 'git-http-backend')
  const requests: string[] = []
  const credentials: string[] = []
  const faults: PendingFault[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`
    requests.push(line)
    if (request.headers.authorization) credentials.push(request.headers.authorization)
    const pending = faults.find(({ only, times }) => times > 0 && line.includes(only))
    if (pending) pending.times -= 1
    answer(pending?.fault, { request, response, backend, directory, env: GIT_ENV })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    hostEntry: `127.0.0.1:${port}@private`,
    port,
    requests,
    credentials,
    count: (text) => requests.filter((line) => line.includes(text)).length,
    inject: (fault, { times = 1, only = '' } = {}) => void faults.push({ fault, times, only }),
    clearFaults: () => void faults.splice(0),
    createRepository: (name, files) => createRepository({ directory, url, name, files }),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
      await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

type Exchange = Parameters<typeof serveGit>[0]

function answer(fault: GitHostFault | undefined, exchange: Exchange): void {
  const { request, response } = exchange
  switch (fault?.kind) {
    case undefined:
      return serveGit(exchange)
    case 'status':
      response.writeHead(fault.status, { 'content-type': 'text/plain', ...fault.headers })
      response.end('injected\n')
      return
    case 'redirect':
      response.writeHead(302, { location: fault.location }).end()
      return
    case 'hang':
      return
    case 'delay': {
      const timer = setTimeout(() => serveGit(exchange), fault.ms)
      request.socket.once('close', () => clearTimeout(timer))
      return
    }
    case 'truncate':
      return serveGit({ ...exchange, maxBytes: fault.bytes })
    case 'endless':
      advertiseWithoutEnd(response)
      return
    case 'reset':
      request.socket.destroy()
      return
  }
}

/** A valid beginning of protocol version 0, then one ref after another for as long as somebody reads. */
function advertiseWithoutEnd(response: ServerResponse): void {
  const packet = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text
  const sha = 'a'.repeat(40)
  let count = 0
  const write = () => {
    let isTaken = true
    while (isTaken && !response.destroyed) {
      const refs = Array.from({ length: 500 }, () => {
        return packet(`${sha} refs/heads/${String(count++).padStart(200, '0')}\n`)
      })
      isTaken = response.write(refs.join(''))
    }
  }
  response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
  const start = packet('# service=git-upload-pack\n')
  response.write(`${start}0000${packet(`${sha} refs/heads/0\0multi_ack\n`)}`)
  response.on('drain', write)
  write()
}
