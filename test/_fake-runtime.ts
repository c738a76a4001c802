/** A runtime whose apps are HTTP servers of this process. */
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'

import type { InstanceRef, InstanceSpec, Runtime } from '../src/runtimes/runtime.ts'
import type { ExitFacts } from '../src/spawner/spawner.ts'

/** How the app of a commit behaves. */
export interface AppBehaviour {
  status?: number
  exitAtStart?: number
  releaseExit?: number
}

interface FakeRuntimeWorld {
  behaviour: ReadonlyMap<string, AppBehaviour>
  starts: InstanceSpec[]
  releaseCommands: string[]
  onReleaseCommand: (() => Promise<void>) | null
}

export interface RunningApp {
  server: Server | null
  port: number
  exited: Promise<ExitFacts>
  end(exit: ExitFacts): void
}

/** Apps are HTTP servers of this process. */
export function createFakeRuntime(
  world: FakeRuntimeWorld,
  apps: Map<string, RunningApp>,
  shaOfRelease: ReadonlyMap<string, string>,
  dataDirectory: string,
): Runtime {
  let pid = 1000
  return {
    kind: 'process',
    start: async (spec) => {
      world.starts.push(spec)
      const unit = `app-${spec.id}`
      const behaviour = world.behaviour.get(shaOfRelease.get(spec.releaseId) ?? '') ?? {}
      writeFileSync(join(dataDirectory, 'logs', spec.log), 'hello from the app\n')
      await startApp(apps, unit, spec.port, behaviour)
      return { unit, pid: ++pid, startTicks: String(pid), bootId: 'boot' }
    },
    isAlive: (ref) => Promise.resolve(apps.has(ref.unit)),
    exited: async (ref, signal) => {
      const app = apps.get(ref.unit)
      if (app === undefined) return { exitCode: null, exitSignal: null }
      return await raceAbort(app.exited, signal)
    },
    stop: (ref: InstanceRef) => {
      apps.get(ref.unit)?.end({ exitCode: null, exitSignal: 'SIGTERM' })
      return Promise.resolve()
    },
    ownsPort: ({ port }) =>
      Promise.resolve([...apps.values()].some((app) => app.port === port && app.server !== null)),
    runReleaseCommand: async (spec, { signal }) => {
      world.releaseCommands.push(spec.id)
      await raceAbort(world.onReleaseCommand?.() ?? Promise.resolve(), signal)
      const sha = shaOfRelease.get(spec.releaseId) ?? ''
      return { exitCode: world.behaviour.get(sha)?.releaseExit ?? 0, exitSignal: null }
    },
  }
}

async function startApp(
  apps: Map<string, RunningApp>,
  unit: string,
  port: number,
  behaviour: AppBehaviour,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<ExitFacts>()
  const dies = behaviour.exitAtStart !== undefined
  const server = dies
    ? null
    : createServer((_request, response) => response.writeHead(behaviour.status ?? 200).end('ok'))
  const end = (exit: ExitFacts) => {
    apps.delete(unit)
    server?.close()
    server?.closeAllConnections()
    resolve(exit)
  }
  apps.set(unit, { server, port, exited: promise, end })
  if (dies) return end({ exitCode: behaviour.exitAtStart ?? 1, exitSignal: null })
  await new Promise<void>((listening) => server?.listen(port, '127.0.0.1', listening))
}

export function raceAbort<Value>(promise: Promise<Value>, signal?: AbortSignal): Promise<Value> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    promise.then(resolve, reject)
  })
}
