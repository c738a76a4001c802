import { join } from 'node:path'

import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { ExitFacts } from '../spawner/spawner.ts'
import type { RunDeps } from './deployment-run.ts'
import { giveTrafficBack } from './give-traffic-back.ts'
import { refOf, runtimeOf, type InstanceRow } from './instances.ts'
import { instanceLogName } from './log-names.ts'
import { readLastLines } from './read-last-lines.ts'
import { planRestart } from './restart-decisions.ts'

export interface InstanceWatch {
  /** Watches the running instances of this host that nobody watches yet. */
  refresh(): Promise<void>
}

/** Learns of every instance that ends by itself, and decides what follows. */
export function watchInstances(
  deps: RunDeps,
  onCrash: () => void,
  signal: AbortSignal,
): InstanceWatch {
  const watched = new Set<string>()
  const watch = async (instance: InstanceRow) => {
    try {
      const app = await readApp(deps, instance.project_id)
      const exit = await runtimeOf(deps, app).exited(refOf(instance), signal)
      if (signal.aborted) return
      if (await handleExit(deps, instance, exit)) onCrash()
    } catch (error) {
      if (signal.aborted) return
      const fields = { instanceId: instance.id, reason: messageOf(error) }
      deps.log.warn('An instance is not watched', fields)
      // The spawner is away: the next refresh tries again, after a pause.
      await deps.clock.sleep(1000, signal).catch(() => {})
    } finally {
      watched.delete(instance.id)
    }
  }
  return {
    refresh: async () => {
      const running = await deps.db
        .selectFrom('instances')
        .selectAll()
        .where('host_id', '=', deps.hostId)
        .where('state', '=', 'running')
        .execute()
      for (const instance of running) {
        if (watched.has(instance.id)) continue
        watched.add(instance.id)
        void watch(instance)
      }
    },
  }
}

async function readApp(deps: RunDeps, projectId: string) {
  return await deps.db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', projectId)
    .executeTakeFirstOrThrow()
}

/** Records the end of an instance; false when it was to end. */
export async function handleExit(
  deps: RunDeps,
  instance: InstanceRow,
  exit: ExitFacts,
): Promise<boolean> {
  const crashed = await recordCrash(deps, instance, exit)
  if (!crashed) return false
  const lines = await readLastLines(
    join(deps.config.dataDirectory, 'logs', instanceLogName(instance.id)),
  )
  deps.log.warn('An instance ended by itself', { instanceId: instance.id, ...exit })
  await giveTrafficBack(deps, instance, { exit, lines }).catch((error: unknown) => {
    // Its predecessor is being stopped at this moment: the crash is told all the same, and the restart comes.
    const fields = { instanceId: instance.id, reason: messageOf(error) }
    deps.log.warn('The traffic was not given back', fields)
  })
  await deps.publishRoutes()
  deps.events.emitChange(instance.project_id)
  return true
}

/** The restart is decided with the crash, in one statement: one that is not recorded would never come. */
async function recordCrash(
  deps: RunDeps,
  instance: InstanceRow,
  exit: ExitFacts,
): Promise<boolean> {
  const now = deps.clock.now()
  const restart = planRestart({
    restarts: instance.restarts,
    ranMs: instance.ready_at === null ? 0 : now - Date.parse(instance.ready_at),
  })
  const { numUpdatedRows } = await inTransaction(deps.db, (tx) =>
    tx
      .updateTable('instances')
      .set({
        state: restart.state,
        restarts: restart.restarts,
        next_restart_at: toIsoTime(now + restart.delayMs),
        exit_code: exit.exitCode,
        exit_signal: exit.exitSignal,
        stopped_at: toIsoTime(now),
      })
      .where('id', '=', instance.id)
      .where('state', 'in', ['running', 'starting'])
      .executeTakeFirst(),
  )
  return numUpdatedRows > 0n
}
