import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { runGit } from '../_git-repository.ts'
import { createAccountControls } from './controls/account-controls.ts'
import type { AccountControls } from './controls/account-controls.ts'
import { createAppControls } from './controls/app-controls.ts'
import type { AppControls } from './controls/app-controls.ts'
import { createRepositoryControls } from './controls/repository-controls.ts'
import type { RepositoryControls } from './controls/repository-controls.ts'
import { createFaults, createRandom } from './faults.ts'
import type { Faults } from './faults.ts'
import { writeRefs } from './git-store.ts'
import { DEFAULT_LIMITS } from './github.ts'
import type { Github, Limits } from './github.ts'
import { createGithubServer } from './server.ts'
import { createState } from './state.ts'
import type { Delivery, InstallationToken, LoggedRequest, State, UserToken } from './state.ts'

export interface FakeGithubOptions {
  /** Of loopback; 0 is any that is free. */
  port?: number
  clock?: { now(): number }
  /** Of the random numbers that faults with a `rate` are drawn by. */
  seed?: number
  limits?: Partial<Limits>
}

/** Everything that a stand-in knew at one moment. */
export interface Snapshot {
  readonly state: State
}

/** A GitHub on loopback, to be driven by hand (these methods) and by HTTP, Git and its pages. */
export interface FakeGithub
  extends AccountControls, RepositoryControls, AppControls, AsyncDisposable {
  readonly port: number
  /** Stands for `github.com`: `http://127.0.0.1:<port>`. */
  readonly webUrl: string
  /** Stands for `api.github.com`; `<webUrl>/api/v3`, where an enterprise server has it. */
  readonly apiUrl: string
  /** As an entry of the list of Git hosts: `127.0.0.1:<port>@private`. */
  readonly hostEntry: string
  readonly faults: Faults
  /** Every attempt of every hook that ended, oldest first. */
  readonly deliveries: readonly Delivery[]
  /** The last 20,000 requests, oldest first. */
  readonly requests: readonly LoggedRequest[]
  /** Requests whose line (`GET /api/v3/user?page=2`) contains `text`. */
  count(text: string): number
  /** All that were given and not taken back, also expired ones. */
  readonly tokens: readonly (InstallationToken | UserToken)[]
  /** Resolves when no push and no delivery is under way, also none that a fault holds back. */
  settled(): Promise<void>
  snapshot(): Snapshot
  /** Back to a snapshot, or to nothing; faults, requests and the automatic person are forgotten. */
  reset(snapshot?: Snapshot): Promise<void>
}

/** Starts a stand-in of GitHub. It keeps nothing when it is disposed of. */
export async function startFakeGithub(options: FakeGithubOptions = {}): Promise<FakeGithub> {
  const directory = await mkdtemp(join(tmpdir(), 'fake-github-'))
  const gitBackend = join(await runGit(directory, ['--exec-path']), 'git-http-backend')
  let lastId = 1000
  // The server needs the address that only the server can tell.
  let github: Github
  const { server, sockets } = createGithubServer(() => github)
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const webUrl = `http://127.0.0.1:${port}`
  github = {
    state: createState(),
    clock: options.clock ?? { now: () => Date.now() },
    faults: createFaults(createRandom(options.seed ?? 1)),
    webUrl,
    apiUrl: `${webUrl}/api/v3`,
    directory,
    gitBackend,
    repositories: new Map(),
    requests: [],
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    pending: new Set(),
    stopping: new AbortController(),
    nextId: () => ++lastId,
    automatic: null,
  }
  const stop = async () => {
    github.stopping.abort()
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
    await settle(github)
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  return toControls(github, port, stop)
}

function toControls(github: Github, port: number, stop: () => Promise<void>): FakeGithub {
  return {
    ...createAccountControls(github),
    ...createRepositoryControls(github),
    ...createAppControls(github),
    port,
    webUrl: github.webUrl,
    apiUrl: github.apiUrl,
    hostEntry: `127.0.0.1:${port}@private`,
    faults: github.faults,
    requests: github.requests,
    get deliveries() {
      return [...github.state.deliveries.values()]
    },
    get tokens() {
      const { installationTokens, userTokens } = github.state
      return [...installationTokens.values(), ...userTokens.values()]
    },
    count: (text) => {
      return github.requests.filter(({ method, path }) => `${method} ${path}`.includes(text)).length
    },
    settled: () => settle(github),
    snapshot: () => ({ state: structuredClone(github.state) }),
    reset: async (snapshot) => {
      github.faults.clear()
      await settle(github)
      github.state = structuredClone(snapshot?.state ?? createState())
      for (const repository of github.state.repositories.values()) {
        const git = github.repositories.get(repository.id)
        if (git !== undefined) await writeRefs(await git, repository.refs)
      }
      github.requests.splice(0)
      github.automatic = null
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** What ends may begin something: a push its deliveries. */
async function settle(github: Github): Promise<void> {
  while (github.pending.size > 0) await Promise.allSettled(github.pending)
}
