import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import { LEASE_MS } from './deployment-lease.ts'
import { ACTIVE_STATES } from './deployment-state.ts'
import { enterState, type DeploymentRow } from './enter-state.ts'
import { planClaim, startsOnly, WITHOUT_BUILD } from './queue-decisions.ts'
import { lockProject, readActive } from './request-deployment.ts'

interface ClaimDeps {
  clock: Clock
  newId: NewId
  db: Database
  hostId: string
  config: { concurrentBuilds: number }
}

export type ClaimOutcome =
  | { kind: 'started'; deployment: DeploymentRow }
  | { kind: 'cancelled_active'; deploymentId: string }
  | { kind: 'waiting' }

/** Starts what is due, oldest first, and cancels the active deployments that a due one replaces. */
export async function claimDueDeployments(deps: ClaimDeps): Promise<ClaimOutcome[]> {
  const due = await readDue(deps, await buildsAreFull(deps, deps.db))
  const outcomes: ClaimOutcome[] = []
  for (const { id } of due) {
    outcomes.push(await inTransaction(deps.db, (tx) => claimDeployment(deps, tx, id)))
  }
  return outcomes
}

/** While the builds are full, of what would build only those that end another deployment: the others fill no page. */
async function readDue(deps: ClaimDeps, isFull: boolean): Promise<{ id: string }[]> {
  const due = deps.db
    .selectFrom('deployments')
    .select('id')
    .where('state', '=', 'queued')
    .where('not_before', '<=', toIsoTime(deps.clock.now()))
    .orderBy('not_before')
    .orderBy('id')
    .limit(100)
  if (!isFull) return await due.execute()
  return await due
    .where((eb) =>
      eb.or([
        eb('cause', 'in', [...WITHOUT_BUILD]),
        eb.exists(
          eb
            .selectFrom('deployments as active')
            .select('active.id')
            .whereRef('active.project_id', '=', 'deployments.project_id')
            .where('active.state', 'in', [...ACTIVE_STATES]),
        ),
      ]),
    )
    .execute()
}

async function claimDeployment(deps: ClaimDeps, tx: Tx, id: string): Promise<ClaimOutcome> {
  const pending = await lockPending(tx, id)
  if (pending === undefined) return { kind: 'waiting' }
  const active = await readActive(tx, pending.project_id)
  const plan = planClaim({
    now: deps.clock.now(),
    pending: { notBefore: Date.parse(pending.not_before), cause: pending.cause },
    active:
      active === undefined
        ? null
        : { state: active.state, cancelledInARow: active.cancelled_in_a_row },
  })
  if (plan === 'start') return await start(deps, tx, pending)
  if (plan === 'cancel_active' && active !== undefined) return await cancel(deps, tx, active, id)
  return { kind: 'waiting' }
}

async function lockPending(tx: Tx, id: string): Promise<DeploymentRow | undefined> {
  const before = await readQueued(tx, id)
  if (before === undefined) return undefined
  await lockProject(tx, before.project_id)
  return await readQueued(tx, id)
}

async function readQueued(tx: Tx, id: string): Promise<DeploymentRow | undefined> {
  return await tx
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .executeTakeFirst()
}

async function start(deps: ClaimDeps, tx: Tx, pending: DeploymentRow): Promise<ClaimOutcome> {
  if (!startsOnly(pending.cause) && (await buildsAreFull(deps, tx))) return { kind: 'waiting' }
  const now = deps.clock.now()
  const token = deps.newId()
  await enterState(deps, tx, {
    deployment: pending,
    from: 'queued',
    to: 'fetching',
    set: {
      started_at: toIsoTime(now),
      lease_token: token,
      lease_expires_at: toIsoTime(now + LEASE_MS),
      host_id: deps.hostId,
      cancelled_in_a_row: await countCancelledInARow(tx, pending.project_id),
      ...(pending.cause === 'configuration' ? await readLiveCommit(tx, pending.project_id) : {}),
    },
  })
  const deployment = await tx
    .selectFrom('deployments')
    .selectAll()
    .where('id', '=', pending.id)
    .executeTakeFirstOrThrow()
  return { kind: 'started', deployment }
}

async function buildsAreFull(deps: ClaimDeps, db: Database | Tx): Promise<boolean> {
  const { count } = await db
    .selectFrom('deployments')
    .select((eb) => eb.fn.countAll<number | string>().as('count'))
    .where('host_id', '=', deps.hostId)
    .where('state', 'in', ['fetching', 'building'])
    .executeTakeFirstOrThrow()
  return Number(count) >= deps.config.concurrentBuilds
}

async function countCancelledInARow(tx: Tx, projectId: string): Promise<number> {
  const last = await tx
    .selectFrom('deployments')
    .select(['state', 'cancelled_in_a_row'])
    .where('project_id', '=', projectId)
    .where('started_at', 'is not', null)
    .orderBy('started_at', 'desc')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
  return last?.state === 'superseded' ? last.cancelled_in_a_row + 1 : 0
}

/** A restart is one of what is live when it starts, which may be newer than what was live when it was asked for. */
async function readLiveCommit(tx: Tx, projectId: string) {
  const live = await tx
    .selectFrom('projects')
    .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .select(['commit_sha', 'commit_message', 'commit_author', 'committed_at'])
    .where('projects.id', '=', projectId)
    .executeTakeFirst()
  return live ?? {}
}

async function cancel(
  deps: ClaimDeps,
  tx: Tx,
  active: DeploymentRow,
  successorId: string,
): Promise<ClaimOutcome> {
  const entered = await enterState(deps, tx, {
    deployment: active,
    from: active.state,
    to: 'cancelling',
    set: {
      cancel_requested_at: toIsoTime(deps.clock.now()),
      cancel_reason: 'superseded',
      superseded_by_id: successorId,
    },
  })
  return entered ? { kind: 'cancelled_active', deploymentId: active.id } : { kind: 'waiting' }
}
