import type { Database } from '../database/database.ts'
import type { ReconcileOutcome } from '../deployments/reconcile-branch.ts'
import { messageOf } from '../lib/errors.ts'
import type { MatchedProject } from './match-projects.ts'
import type { PushPlan } from './plan-delivery.ts'

/** What a push meant for a project, and what that says. `docs/webhooks.md` has the same table. */
export const PROJECT_OUTCOMES = {
  deployment_requested: 'The branch has a new head: a deployment was requested',
  skipped: 'The branch has a new head, which is not deployed; the reason says why',
  already_at_head: 'There was a decision about this head before',
  look_queued: 'Somebody was looking already: another look follows at once',
  second_reading: 'The head is one of earlier times: it is read again in ten seconds',
  branch_gone: 'The branch is not there any more',
  failed: 'The branch could not be looked at; the reason says why',
} as const

export interface ProjectOutcome extends MatchedProject {
  outcome: keyof typeof PROJECT_OUTCOMES
  reason: string | null
  head: string | null
  deploymentId: string | null
}

export interface LookDeps {
  db: Database
  /** Looks at the project's branch, and at nothing else: a push is a hint. */
  reconcile(
    projectId: string,
    push: { before: string; after: string | null },
    signal: AbortSignal,
  ): Promise<ReconcileOutcome>
}

const AT_ONCE = 4

/** Has each project look at its branch. One that fails does not keep the others from it. */
export async function lookAtProjects(
  deps: LookDeps,
  projects: readonly MatchedProject[],
  push: PushPlan,
  signal: AbortSignal,
): Promise<ProjectOutcome[]> {
  const outcomes: ProjectOutcome[] = []
  const queue = [...projects]
  const work = async () => {
    for (let project = queue.shift(); project !== undefined; project = queue.shift()) {
      outcomes.push({ ...project, ...(await look(deps, project, push, signal)) })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return outcomes
}

type Look = Omit<ProjectOutcome, keyof MatchedProject>

async function look(
  deps: LookDeps,
  { projectId }: MatchedProject,
  { before, after }: PushPlan,
  signal: AbortSignal,
): Promise<Look> {
  try {
    const outcome = await deps.reconcile(projectId, { before, after }, signal)
    if (outcome.kind !== 'unchanged') return lookOf(outcome)
    const deploymentId = await findDeployment(deps.db, projectId, outcome.head)
    return { outcome: 'already_at_head', reason: null, head: outcome.head, deploymentId }
  } catch (error) {
    if (signal.aborted) throw error
    return { outcome: 'failed', reason: messageOf(error), head: null, deploymentId: null }
  }
}

function lookOf(outcome: Exclude<ReconcileOutcome, { kind: 'unchanged' }>): Look {
  const nothing = { reason: null, head: null, deploymentId: null }
  if (outcome.kind === 'decided') {
    const { head, reason, deploymentId } = outcome
    const kind = outcome.decision === 'deploy' ? 'deployment_requested' : 'skipped'
    return { outcome: kind, reason, head, deploymentId }
  }
  if (outcome.kind === 'awaiting_second_reading') {
    return { ...nothing, outcome: 'second_reading', head: outcome.head }
  }
  if (outcome.kind === 'source_error') {
    return { ...nothing, outcome: 'failed', reason: outcome.message }
  }
  return { ...nothing, outcome: outcome.kind === 'busy' ? 'look_queued' : 'branch_gone' }
}

/** The deployment that the decision about this head requested: perhaps ours, before this process was killed. */
async function findDeployment(
  db: Database,
  projectId: string,
  head: string,
): Promise<string | null> {
  const decision = await db
    .selectFrom('branch_decisions')
    .select('deployment_id')
    .where('project_id', '=', projectId)
    .where('head', '=', head)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return decision?.deployment_id ?? null
}
