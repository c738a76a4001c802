import type { Database } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import type { DeploymentLogRow } from './deployment-events.ts'
import type { DeploymentRow } from './enter-state.ts'

export type DeploymentSummary = Omit<
  DeploymentRow,
  'configuration_sealed' | 'lease_token' | 'lease_expires_at'
>

export interface DeploymentDetails {
  deployment: DeploymentSummary
  transitions: readonly { state: DeploymentRow['state']; entered_at: string }[]
  /** Why it exists; null for what a person asked for. */
  decision: Schema['branch_decisions'] | null
  release: Schema['releases'] | null
}

/** Deployments of a project, newest first. `cursor` is the number of the last one of the page before. */
export async function listDeployments(
  db: Database,
  query: { organizationId: string; projectId: string; cursor: number | null; limit: number },
): Promise<{ items: DeploymentSummary[]; nextCursor: number | null }> {
  let select = db
    .selectFrom('deployments')
    .selectAll()
    .where('organization_id', '=', query.organizationId)
    .where('project_id', '=', query.projectId)
    .orderBy('number', 'desc')
    .limit(query.limit + 1)
  if (query.cursor !== null) select = select.where('number', '<', query.cursor)
  const rows = await select.execute()
  const items = rows.slice(0, query.limit).map(summaryOf)
  const last = items.at(-1)
  return { items, nextCursor: rows.length > query.limit && last ? last.number : null }
}

/** One deployment with its timeline, the decision that made it and its release; undefined when there is none. */
export async function readDeployment(
  db: Database,
  query: { organizationId: string; id: string },
): Promise<DeploymentDetails | undefined> {
  const row = await db
    .selectFrom('deployments')
    .selectAll()
    .where('organization_id', '=', query.organizationId)
    .where('id', '=', query.id)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const transitions = await db
    .selectFrom('deployment_transitions')
    .select(['state', 'entered_at'])
    .where('deployment_id', '=', row.id)
    // Two in one millisecond: ids are in the order of their making.
    .orderBy('entered_at')
    .orderBy('id')
    .execute()
  const decision = await db
    .selectFrom('branch_decisions')
    .selectAll()
    .where('deployment_id', '=', row.id)
    .executeTakeFirst()
  const release = row.release_id === null ? undefined : await readRelease(db, row.release_id)
  return {
    deployment: summaryOf(row),
    transitions,
    decision: decision ?? null,
    release: release ?? null,
  }
}

async function readRelease(db: Database, id: string) {
  return await db.selectFrom('releases').selectAll().where('id', '=', id).executeTakeFirst()
}

function summaryOf(row: DeploymentRow): DeploymentSummary {
  const { configuration_sealed: _c, lease_token: _t, lease_expires_at: _e, ...summary } = row
  return summary
}

/** Log rows of a deployment after a sequence number, in order; at most `limit`. */
export async function readDeploymentLog(
  db: Database,
  deploymentId: string,
  afterSequence: number,
  limit: number,
): Promise<DeploymentLogRow[]> {
  return await db
    .selectFrom('deployment_logs')
    .select(['sequence', 'stream', 'text', 'logged_at'])
    .where('deployment_id', '=', deploymentId)
    .where('sequence', '>', afterSequence)
    .orderBy('sequence')
    .limit(limit)
    .execute()
}
