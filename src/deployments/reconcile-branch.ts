import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Logger } from '../lib/logger.ts'
import { planDecision, type HeadDecision } from './decide-head.ts'
import { sourceOf, type Commit, type Sources } from './engine-deps.ts'
import { readHeadFacts } from './head-facts.ts'
import {
  askForPoll,
  keepReconcileLease,
  postponePoll,
  releaseReconcileLease,
  takeReconcileLease,
  type ProjectRow,
} from './reconcile-lease.ts'
import { requestDeployment } from './request-deployment.ts'

export interface ReconcileDeps {
  clock: Clock
  newId: NewId
  db: Database
  log: Logger
  sources: Sources
}

/** Why the branch is looked at. A push is a hint; its commits only tell whether the host lags behind it. */
export type ReconcileTrigger =
  | { kind: 'push'; before: string | null; after: string | null }
  | { kind: 'boot' | 'timer' | 'person' }

export type ReconcileOutcome =
  /** The head was decided about: `deploymentId` is null for a skip. */
  | {
      kind: 'decided'
      head: string
      decision: HeadDecision['decision']
      reason: HeadDecision['reason']
      deploymentId: string | null
    }
  | { kind: 'unchanged'; head: string }
  /** A head of earlier times: counts when it is read again in ten seconds. */
  | { kind: 'awaiting_second_reading'; head: string }
  /** Somebody looks at this moment; another look follows at once. */
  | { kind: 'busy' }
  | { kind: 'branch_gone' }
  | { kind: 'source_error'; message: string }

/** A host that answers with the commit before the push is asked again after these. */
const LAG_DELAYS_MS = [1000, 3000, 10_000]
const SECOND_READING_MS = 10_000
const MIN_BACK_OFF_MS = 15_000
const MAX_BACK_OFF_MS = 900_000

/**
 * Looks at the project's branch and records a decision about its head, whatever made us look: the head that the host
 * shows is the truth. One look at a time per project, also across processes.
 */
export async function reconcileBranch(
  deps: ReconcileDeps,
  projectId: string,
  trigger: ReconcileTrigger,
  signal: AbortSignal,
): Promise<ReconcileOutcome> {
  for (const delay of LAG_DELAYS_MS) {
    const outcome = await reconcileOnce(deps, projectId, trigger, signal)
    if (!isLagging(outcome, trigger)) return outcome
    await deps.clock.sleep(delay, signal)
  }
  return await reconcileOnce(deps, projectId, trigger, signal)
}

function isLagging(outcome: ReconcileOutcome, trigger: ReconcileTrigger): boolean {
  if (trigger.kind !== 'push' || outcome.kind !== 'unchanged') return false
  return outcome.head === trigger.before && outcome.head !== trigger.after
}

async function reconcileOnce(
  deps: ReconcileDeps,
  projectId: string,
  trigger: ReconcileTrigger,
  signal: AbortSignal,
): Promise<ReconcileOutcome> {
  const project = await takeReconcileLease(deps, projectId)
  if (project === null) {
    await askForPoll(deps, projectId)
    return { kind: 'busy' }
  }
  const over = new AbortController()
  const renewing = keepReconcileLease(deps, project, over.signal).catch(() => {})
  try {
    return await lookAtHead(deps, project, trigger, signal)
  } catch (error) {
    if (signal.aborted) {
      await releaseReconcileLease(deps.db, project, {})
      await postponePoll(deps.db, project, deps.clock.now())
      throw error
    }
    await backOff(deps, project, messageOf(error))
    return { kind: 'source_error', message: messageOf(error) }
  } finally {
    over.abort()
    await renewing
  }
}

async function lookAtHead(
  deps: ReconcileDeps,
  project: ProjectRow,
  trigger: ReconcileTrigger,
  signal: AbortSignal,
): Promise<ReconcileOutcome> {
  const source = sourceOf(project)
  const reading = await deps.sources.readBranchHead(source, project.branch, signal)
  if (reading.kind === 'branch_gone') {
    await backOff(deps, project, `Cannot find branch "${project.branch}" at its Git host`)
    return reading
  }
  const head = reading.sha
  if (head === project.considered_head) {
    await releaseReconcileLease(deps.db, project, KNOWN)
    return { kind: 'unchanged', head }
  }
  if (await needsSecondReading(deps, project, head)) return await awaitReading(deps, project, head)
  const { facts, commit } = await readHeadFacts(deps, project, head, signal)
  const decision = planDecision(facts)
  const stored = await inTransaction(deps.db, (tx) =>
    storeDecision(deps, tx, { project, head, trigger, decision, commit }),
  )
  if (stored === null) {
    await releaseReconcileLease(deps.db, project, {})
    return { kind: 'busy' }
  }
  deps.log.info('A head was decided about', { projectId: project.id, head, ...decision })
  return { kind: 'decided', head, ...decision, deploymentId: stored.deploymentId }
}

const KNOWN = {
  source_error: null,
  source_failing_since: null,
  reread_head: null,
  reread_at: null,
}

/** A head of earlier times may be a forced push back, or a replica of the host that lags. */
async function needsSecondReading(
  deps: ReconcileDeps,
  project: ProjectRow,
  head: string,
): Promise<boolean> {
  if (project.considered_head === null) return false
  const earlier = await deps.db
    .selectFrom('branch_decisions')
    .select('id')
    .where('project_id', '=', project.id)
    .where('head', '=', head)
    .limit(1)
    .executeTakeFirst()
  if (earlier === undefined) return false
  if (project.reread_head !== head || project.reread_at === null) return true
  return deps.clock.now() - Date.parse(project.reread_at) < SECOND_READING_MS
}

async function awaitReading(
  deps: ReconcileDeps,
  project: ProjectRow,
  head: string,
): Promise<ReconcileOutcome> {
  const known = project.reread_head === head && project.reread_at !== null
  const firstAt = known ? Date.parse(project.reread_at ?? '') : deps.clock.now()
  await releaseReconcileLease(deps.db, project, {
    source_error: null,
    source_failing_since: null,
    reread_head: head,
    reread_at: toIsoTime(firstAt),
  })
  await postponePoll(deps.db, project, firstAt + SECOND_READING_MS)
  return { kind: 'awaiting_second_reading', head }
}

interface Decided {
  project: ProjectRow
  head: string
  trigger: ReconcileTrigger
  decision: HeadDecision
  commit: Commit | null
}

/** All or nothing: a head that counts as considered has its decision and its deployment. Null when the turn was lost. */
async function storeDecision(
  deps: ReconcileDeps,
  tx: Tx,
  decided: Decided,
): Promise<{ deploymentId: string | null } | null> {
  const { project, head, decision } = decided
  const { numUpdatedRows } = await tx
    .updateTable('projects')
    .set({
      ...KNOWN,
      considered_head: head,
      reconcile_token: null,
      reconcile_expires_at: null,
    })
    .where('id', '=', project.id)
    .where('reconcile_token', '=', project.reconcile_token)
    .where('deleted_at', 'is', null)
    // Another repository or branch was set meanwhile: this head is not of it.
    .where('repo_url', '=', project.repo_url)
    .where('branch', '=', project.branch)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return null
  const requested = decision.decision === 'deploy' ? await request(deps, tx, decided) : null
  const deploymentId = requested?.deploymentId ?? null
  await tx
    .insertInto('branch_decisions')
    .values({
      id: deps.newId(),
      organization_id: project.organization_id,
      project_id: project.id,
      head,
      previous_head: project.considered_head,
      ...decision,
      trigger: decided.trigger.kind,
      deployment_id: deploymentId,
      created_at: toIsoTime(deps.clock.now()),
    })
    .execute()
  return { deploymentId }
}

async function request(deps: ReconcileDeps, tx: Tx, { project, head, commit }: Decided) {
  return await requestDeployment(deps, tx, {
    projectId: project.id,
    cause: project.deployment_count === 0 ? 'first' : 'push',
    commit: {
      sha: head,
      message: commit?.message ?? null,
      author: commit?.authorName ?? null,
      committedAt: commit?.committedAt ?? null,
    },
  })
}

/** Records why the branch could not be read. The longer that lasts, the more rarely it is tried. */
async function backOff(deps: ReconcileDeps, project: ProjectRow, message: string): Promise<void> {
  const now = deps.clock.now()
  const since = project.source_failing_since ?? toIsoTime(now)
  await releaseReconcileLease(deps.db, project, {
    source_error: message,
    source_failing_since: since,
  })
  deps.log.warn('A branch was not read', { projectId: project.id, reason: message })
  const delay = Math.min(Math.max(now - Date.parse(since), MIN_BACK_OFF_MS), MAX_BACK_OFF_MS)
  await postponePoll(deps.db, project, now + delay)
}
