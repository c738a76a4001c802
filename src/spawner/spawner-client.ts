import type { Clock } from '../lib/clock.ts'
import type { CommandResult } from '../lib/run-command.ts'
import { openSpawnerConnection } from './spawner-connection.ts'
import type { ExitFacts, Isolation, ProcessRef, Spawner } from './spawner.ts'

/**
 * A spawner in another process. Connects when it is first asked and again when the connection is lost: then it repeats
 * what may be repeated for up to 10 s (`spawner.unavailable` after that), goes on waiting in `exited` for as long as it
 * takes, and fails a `run` that was under way with `spawner.lost`.
 */
export function connectSpawner(
  socketPath: string,
  deps: { clock: Clock },
): Spawner & AsyncDisposable {
  const connection = openSpawnerConnection(socketPath, deps)
  const ask = <T>(method: string, params: object, signal?: AbortSignal) =>
    connection.ask({ method, params, onLoss: 'repeat' }, signal) as Promise<T>
  return {
    start: (spec) =>
      connection.ask({
        method: 'start',
        params: { spec },
        onLoss: 'repeat',
      }) as Promise<ProcessRef>,
    run: (spec, signal) =>
      connection.ask(
        { method: 'run', params: { spec }, onLoss: 'fail' },
        signal,
      ) as Promise<CommandResult>,
    exited: (process, signal) =>
      connection.ask(
        { method: 'exited', params: { process }, onLoss: 'persist' },
        signal,
      ) as Promise<ExitFacts>,
    isAlive: (process) => ask<boolean>('isAlive', { process }),
    stop: async (process, options) => {
      await ask('stop', { process, options })
    },
    endAccount: async (account) => {
      await ask('endAccount', { account })
    },
    makeDirectory: (place, owner) => ask<string>('makeDirectory', { place, owner }),
    usage: (place) => ask<number>('usage', { place }),
    remove: async (place) => {
      await ask('remove', { place })
    },
    sealRelease: (options) => ask<{ bytes: number; path: string }>('sealRelease', options),
    removeLog: async (log) => {
      await ask('removeLog', { log })
    },
    isolation: () => ask<Isolation>('isolation', {}),
    accountBase: () => ask<number | null>('accountBase', {}),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  }
}
