import type { BuildPlan } from '../builds/build-plan.ts'
import type { Database } from '../database/database.ts'
import { hasSkipMarker, patternsFromRoot, type HeadFacts } from './decide-head.ts'
import { sourceOf, type Commit, type Source, type Sources } from './engine-deps.ts'
import type { ProjectRow } from './reconcile-lease.ts'

/** What the decision about `head` needs, and no more: the commit is fetched when a setting cannot decide alone. */
export async function readHeadFacts(
  deps: { db: Database; sources: Sources },
  project: ProjectRow,
  head: string,
  signal: AbortSignal,
): Promise<{ facts: HeadFacts; commit: Commit | null }> {
  const settled = { messages: null, watchPaths: null, changedPaths: null }
  const first = project.considered_head === null
  if (first || !project.auto_deploy) {
    return { facts: { first, autoDeploy: project.auto_deploy, ...settled }, commit: null }
  }
  const source = sourceOf(project)
  const commit = await deps.sources.fetchCommit(source, head, project.branch, signal)
  const live = await readLive(deps.db, project)
  const liveSha = live?.commitSha ?? null
  const watchPaths = readWatchPaths(project, live?.plan ?? null)
  const facts: HeadFacts = {
    first,
    autoDeploy: true,
    messages: hasSkipMarker(commit.message)
      ? await readMessages(
          deps.sources,
          { source, to: head },
          [project.considered_head, liveSha],
          signal,
        )
      : null,
    watchPaths,
    changedPaths:
      watchPaths === null
        ? null
        : await readChanges(
            deps.sources,
            { source, from: await readServedHead(deps.db, project.id, liveSha), to: head },
            signal,
          ),
  }
  return { facts, commit }
}

/** What a person set, else what `nanoscale.json` of the live version says; changes of that file always count. */
function readWatchPaths(project: ProjectRow, plan: BuildPlan | null): string[] | null {
  const patterns = project.watch_paths ?? plan?.watchPaths ?? null
  if (patterns === null) return null
  const rootDirectory = project.root_directory ?? plan?.rootDirectory ?? '.'
  return patternsFromRoot(rootDirectory, [...patterns, 'nanoscale.json'])
}

interface Range {
  source: Source
  /** Null when nothing was ever live. */
  from: string | null
  to: string
}

/**
 * Of the commits since the head that was decided about last: what an earlier decision was about does not count again,
 * else a marked commit would undo a rollback. After a forced push, of those since the live one.
 */
async function readMessages(
  sources: Sources,
  { source, to }: Pick<Range, 'source' | 'to'>,
  bases: readonly (string | null)[],
  signal: AbortSignal,
): Promise<string[] | 'not_computable'> {
  for (const from of bases) {
    if (from === null) continue
    const messages = await sources.commitMessagesSince(source, from, to, signal)
    if (messages !== 'not_computable') return messages
  }
  return 'not_computable'
}

/**
 * The commit that changes are judged against: the newest head of the branch that ever served, so that a deployment that
 * failed is made up for, and a version that somebody went back from does not count as new.
 */
async function readServedHead(
  db: Database,
  projectId: string,
  liveSha: string | null,
): Promise<string | null> {
  const served = await db
    .selectFrom('branch_decisions')
    .innerJoin('deployments', (join) =>
      join
        .onRef('deployments.project_id', '=', 'branch_decisions.project_id')
        .onRef('deployments.commit_sha', '=', 'branch_decisions.head'),
    )
    .innerJoin('deployment_transitions', 'deployment_transitions.deployment_id', 'deployments.id')
    .select('branch_decisions.head')
    .where('branch_decisions.project_id', '=', projectId)
    .where('deployment_transitions.state', '=', 'live')
    .orderBy('branch_decisions.id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return served?.head ?? liveSha
}

async function readChanges(sources: Sources, { source, from, to }: Range, signal: AbortSignal) {
  return from === null
    ? 'not_computable'
    : await sources.changedPathsBetween(source, from, to, signal)
}

async function readLive(db: Database, project: ProjectRow) {
  if (project.live_deployment_id === null) return null
  const row = await db
    .selectFrom('deployments')
    .leftJoin('releases', 'releases.id', 'deployments.release_id')
    .select(['deployments.commit_sha', 'releases.plan'])
    .where('deployments.id', '=', project.live_deployment_id)
    .executeTakeFirst()
  if (row === undefined) return null
  return { commitSha: row.commit_sha, plan: row.plan as BuildPlan | null }
}
