/** A deployment engine over a real database, real HTTP servers as apps, and fakes of the rooms around it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { BuildPlan } from '../src/builds/build-plan.ts'
import type { Database } from '../src/database/database.ts'
import type { Schema } from '../src/database/schema.ts'
import { createDeploymentEvents } from '../src/deployments/deployment-events.ts'
import type { EngineDeps } from '../src/deployments/engine-deps.ts'
import { systemClock, toIsoTime, type Clock } from '../src/lib/clock.ts'
import { OperationError } from '../src/lib/errors.ts'
import { newId } from '../src/lib/ids.ts'
import { silentLogger } from '../src/lib/logger.ts'
import type { InstanceSpec } from '../src/runtimes/runtime.ts'
import { createKeyring } from '../src/secrets/keyring.ts'
import { createRedactor } from '../src/secrets/redactor.ts'
import type { ExitFacts } from '../src/spawner/spawner.ts'
import type { RouteTable } from '../src/traffic/route-table.ts'
import {
  createFakeRuntime,
  raceAbort,
  type AppBehaviour,
  type RunningApp,
} from './_fake-runtime.ts'

/** Time that moves when the test says so; who sleeps wakes when their moment has come. */
export interface TestClock extends Clock {
  advance(ms: number): Promise<void>
}

export function createTestClock(start = Date.parse('2026-03-01T00:00:00.000Z')): TestClock {
  let now = start
  const sleepers = new Set<{ at: number; wake: () => void }>()
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const sleeper = {
          at: now + ms,
          wake: () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        const onAbort = () => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    advance: async (ms) => {
      now += ms
      for (const sleeper of sleepers) {
        if (sleeper.at > now) continue
        sleepers.delete(sleeper)
        sleeper.wake()
      }
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

export interface FakeWorld {
  deps: EngineDeps
  /** Where the branch is, as its host says; an error is thrown instead. */
  head: { sha: string | null; error?: Error }
  messages: Map<string, string>
  changedPaths: string[] | 'not_computable'
  behaviour: Map<string, AppBehaviour>
  builds: { sha: string; env: Readonly<Record<string, string>> }[]
  releaseCommands: string[]
  starts: InstanceSpec[]
  tables: RouteTable[]
  plan: Partial<BuildPlan>
  /** Resolves builds that wait, when set. */
  holdBuild: (() => Promise<void>) | null
  onReleaseCommand: (() => Promise<void>) | null
  crash(instanceId: string, exit?: ExitFacts): void
  running(): string[]
  [Symbol.asyncDispose](): Promise<void>
}

export function createFakeWorld(
  db: Database,
  options: { clock?: Clock; hostId?: string; config?: Partial<EngineDeps['config']> } = {},
): FakeWorld {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'nanoscale-deployments-'))
  mkdirSync(join(dataDirectory, 'logs'))
  const apps = new Map<string, RunningApp>()
  const shaOfRelease = new Map<string, string>()
  const clock = options.clock ?? systemClock
  const world: FakeWorld = {
    head: { sha: null },
    messages: new Map(),
    changedPaths: 'not_computable',
    behaviour: new Map(),
    builds: [],
    releaseCommands: [],
    starts: [],
    tables: [],
    plan: {},
    holdBuild: null,
    onReleaseCommand: null,
    crash: (instanceId, exit = { exitCode: 1, exitSignal: null }) =>
      apps.get(`app-${instanceId}`)?.end(exit),
    running: () => [...apps.keys()].map((unit) => unit.slice('app-'.length)),
    [Symbol.asyncDispose]: async () => {
      for (const app of apps.values()) app.end({ exitCode: null, exitSignal: 'SIGKILL' })
      rmSync(dataDirectory, { recursive: true, force: true })
      await Promise.resolve()
    },
    deps: undefined as unknown as EngineDeps,
  }
  world.deps = {
    clock,
    newId,
    db,
    log: silentLogger,
    hostId: options.hostId ?? 'host-1',
    config: {
      dataDirectory,
      baseDomain: 'localhost',
      concurrentBuilds: 2,
      releaseTimeoutSeconds: 10,
      healthTimeoutSeconds: 5,
      drainSeconds: 1,
      stopGraceSeconds: 1,
      standbySeconds: 30,
      ...options.config,
    },
    keyring: createKeyring([{ id: 'k1', bytes: Buffer.alloc(32, 7) }]),
    redactor: createRedactor(),
    sources: {
      readBranchHead: () => {
        if (world.head.error !== undefined) return Promise.reject(world.head.error)
        const { sha } = world.head
        return Promise.resolve(sha === null ? { kind: 'branch_gone' } : { kind: 'found', sha })
      },
      fetchCommit: (_source, sha) =>
        Promise.resolve({
          sha,
          treeId: `tree-${sha}`,
          message: world.messages.get(sha) ?? `Change ${sha}`,
          authorName: 'Ada',
          committedAt: '2026-02-28T00:00:00.000Z',
        }),
      commitMessagesSince: (_source, _from, to) =>
        Promise.resolve([...world.messages].filter(([sha]) => sha <= to).map(([, m]) => m)),
      changedPathsBetween: () => Promise.resolve(world.changedPaths),
    },
    builds: {
      plan: (_source, _sha, settings) => Promise.resolve(planOf(world, settings.health_path)),
      fingerprint: (plan, treeId, env) => JSON.stringify([plan, treeId, env]),
      build: async (order, signal) => {
        world.builds.push({ sha: order.sha, env: order.env })
        order.log.output(`building ${order.sha}\n`)
        await raceAbort(world.holdBuild?.() ?? Promise.resolve(), signal)
        shaOfRelease.set(order.releaseId, order.sha)
        mkdirSync(join(dataDirectory, 'releases', order.releaseId), { recursive: true })
        return { bytes: 1000 }
      },
    },
    spawner: { remove: () => Promise.resolve(), removeLog: () => Promise.resolve() },
    runtimes: new Map([['process', createFakeRuntime(world, apps, shaOfRelease, dataDirectory)]]),
    traffic: {
      publish: (table) => {
        world.tables.push(table)
        return Promise.resolve()
      },
      stats: () => Promise.resolve({ version: world.tables.at(-1)?.version ?? -1 }),
      drain: () => Promise.resolve(),
    },
    endBuilds: () => Promise.resolve(),
    deriveRoutes: (version) => Promise.resolve({ version, routes: [] }),
    events: createDeploymentEvents(),
  }
  return world
}

function planOf(world: FakeWorld, healthPath: string | null): BuildPlan {
  return {
    kind: 'node',
    rootDirectory: '.',
    packageManager: 'npm',
    steps: [],
    outputDirectory: '.',
    start: ['node', 'server.js'],
    release: null,
    healthPath: healthPath ?? '/',
    singlePageApp: false,
    watchPaths: null,
    explanation: [],
    ...world.plan,
  }
}

let slots = 0

/** A project of the default organization that follows `main`. */
export async function insertProject(
  db: Database,
  given: Partial<Schema['projects']> = {},
): Promise<Schema['projects']> {
  const id = newId()
  const now = toIsoTime(0)
  return await db
    .insertInto('projects')
    .values({
      id,
      organization_id: 'org-default',
      name: id,
      host_label: id,
      source_provider: 'manual',
      repo_url: 'https://git.example/shop.git',
      branch: 'main',
      runtime: 'process',
      auto_deploy: true,
      poll_interval_seconds: 60,
      next_poll_at: now,
      deployment_count: 0,
      account_slot: ++slots,
      created_at: now,
      updated_at: now,
      ...given,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Waits for what happens by itself; fails loudly instead of hanging. */
export async function eventually<Value>(
  what: string,
  read: () => Promise<Value | null | undefined | false>,
): Promise<Value> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const value = await read()
    if (value !== null && value !== undefined && value !== false) return value
    if (Date.now() > deadline) throw new OperationError('test.timed_out', `Never saw: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
