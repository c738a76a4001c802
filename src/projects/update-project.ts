import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { refuseTakenName } from './create-project.ts'
import { checkProjectName } from './project-name.ts'
import { readProject, type Project } from './project-records.ts'
import { checkSettings, DEFAULT_SETTINGS, type ProjectSettings } from './project-settings.ts'
import { checkSource, type ManualSource, type SourceRules } from './project-source.ts'

export interface ProjectChange extends Partial<ProjectSettings> {
  name?: string
  repo_url?: string
  branch?: string
}

/**
 * Changes what is given and leaves the rest. The host name stays when the name changes: links to it live on. Another
 * repository or branch begins a new history, so its head counts as never considered.
 */
export async function updateProject(
  deps: { db: Database; clock: Clock; newId: NewId; config: SourceRules },
  organizationId: string,
  id: string,
  change: ProjectChange,
  by: Actor,
): Promise<Project> {
  const { name, repo_url, branch, ...settings } = change
  if (name !== undefined) checkProjectName(name)
  checkSettings(settings)
  return await inTransaction(deps.db, async (tx) => {
    const now = toIsoTime(deps.clock.now())
    // Locks the row before it is read: another change at this moment would be undone by what was read before it.
    await tx
      .updateTable('projects')
      .set({ updated_at: now })
      .where('id', '=', id)
      .where('organization_id', '=', organizationId)
      .execute()
    const before = await readProject(tx, organizationId, id)
    const source = checkSource(deps.config, {
      repo_url: repo_url ?? before.repo_url,
      branch: branch ?? before.branch,
    })
    if (before.source_provider !== 'manual') await followLink(tx, before, source)
    if (name !== undefined && name !== before.name) await refuseTakenName(tx, organizationId, name)
    const moved = source.repo_url !== before.repo_url || source.branch !== before.branch
    const polledOtherwise =
      settings.poll_interval_seconds !== undefined &&
      settings.poll_interval_seconds !== before.poll_interval_seconds
    await tx
      .updateTable('projects')
      .set({
        ...definedOf(settings),
        ...source,
        name: name ?? before.name,
        updated_at: now,
        ...(moved ? NEW_HISTORY : {}),
        // The next look was set by the interval of before, which may be a day.
        ...(moved || polledOtherwise ? { next_poll_at: now } : {}),
      })
      .where('id', '=', id)
      .execute()
    const after = await readProject(tx, organizationId, id)
    const details = changesOf(before, after)
    if (details !== null) {
      const target = { kind: 'project', id, name: after.name }
      const event = { organizationId, by, action: 'project.updated', target, details } as const
      await recordAuditEvent(deps, tx, event)
    }
    return after
  })
}

/** A repository that is linked stays: its link says who may read it. Its branch may be another. */
async function followLink(tx: Tx, before: Project, source: ManualSource): Promise<void> {
  if (source.repo_url !== before.repo_url) {
    const reason = 'it is linked to its repository; make another project for another one'
    throw new OperationError(
      'project.source_fixed',
      `Cannot change the repository of "${before.name}": ${reason}`,
      { details: { repo_url: [reason] } },
    )
  }
  await tx
    .updateTable('project_github_links')
    .set({ selected_branch: source.branch })
    .where('project_id', '=', before.id)
    .execute()
}

/** Which fields are other than before. Of commands the names alone: people write tokens into them. */
function changesOf(before: Project, after: Project): Record<string, unknown> | null {
  const fields = AUDITED_FIELDS.filter(
    (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  )
  if (fields.length === 0) return null
  const moves = TOLD_FIELDS.filter((field) => fields.includes(field)).map(
    (field) => [field, { from: before[field], to: after[field] }] as const,
  )
  return { fields, ...Object.fromEntries(moves) }
}

const TOLD_FIELDS = ['name', 'repo_url', 'branch', 'auto_deploy'] as const
const AUDITED_FIELDS = [
  'name',
  'repo_url',
  'branch',
  ...(Object.keys(DEFAULT_SETTINGS) as (keyof ProjectSettings)[]),
] as const

const NEW_HISTORY = {
  considered_head: null,
  reread_head: null,
  reread_at: null,
  source_error: null,
  source_failing_since: null,
}

function definedOf(settings: Partial<ProjectSettings>): Partial<ProjectSettings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}
