import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { reconcileBranch, type ReconcileDeps } from './reconcile-branch.ts'

/** Looks at once at most: each holds a git process. */
const CONCURRENT_POLLS = 8

export interface BranchPolling {
  /** Begins to look at the branches that are due, as far as there is room. One that fails or hangs stops no other. */
  pollDue(signal: AbortSignal): Promise<void>
  /** Resolves when no look is under way. */
  settled(): Promise<void>
}

/** `onDeployment` is called when a look led to a deployment, `onRoom` when one ended while others wait for their turn. */
export function createBranchPolling(
  deps: ReconcileDeps,
  onDeployment: () => void,
  onRoom: () => void = () => {},
): BranchPolling {
  let othersWait = false
  const underWay = new Map<string, Promise<void>>()
  let trigger: 'boot' | 'timer' = 'boot'

  const look = async (projectId: string, kind: 'boot' | 'timer', signal: AbortSignal) => {
    try {
      const outcome = await reconcileBranch(deps, projectId, { kind }, signal)
      if (outcome.kind === 'decided' && outcome.deploymentId !== null) onDeployment()
    } catch (error) {
      if (signal.aborted) return
      deps.log.error('Cannot reconcile a branch', { projectId, reason: messageOf(error) })
    } finally {
      underWay.delete(projectId)
      if (othersWait) onRoom()
    }
  }
  return {
    pollDue: async (signal) => {
      const room = CONCURRENT_POLLS - underWay.size
      if (room <= 0) return
      const due = await readDueProjects(deps, CONCURRENT_POLLS * 2)
      const waiting = due.filter((id) => !underWay.has(id))
      const begun = waiting.slice(0, room)
      othersWait = waiting.length > begun.length
      for (const id of begun) underWay.set(id, look(id, trigger, signal))
      trigger = 'timer'
    },
    settled: async () => {
      await Promise.all(underWay.values())
    },
  }
}

async function readDueProjects(
  deps: { db: Database; clock: Clock },
  limit: number,
): Promise<string[]> {
  const rows = await deps.db
    .selectFrom('projects')
    .select('id')
    .where('next_poll_at', '<=', toIsoTime(deps.clock.now()))
    .where('deleted_at', 'is', null)
    .orderBy('next_poll_at')
    .limit(limit)
    .execute()
  return rows.map((row) => row.id)
}
