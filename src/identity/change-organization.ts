import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { confirmRole } from './confirm-role.ts'
import {
  DEFAULT_ORGANIZATION_SLUG,
  lockOrganization,
  readOrganization,
  type Organization,
} from './organizations.ts'

interface WriteDeps {
  db: Database
  clock: Clock
  newId: NewId
}

/** Gives an organization another name; its slug stays. Throws `member.role_lost`. */
export function renameOrganization(
  deps: WriteDeps,
  id: string,
  input: { name: string; by: Actor },
): Promise<Organization> {
  return inTransaction(deps.db, async (tx) => {
    const { name: before } = await lockOrganization(tx, id)
    await confirmRole(deps, tx, id, { by: input.by, atLeast: 'owner' })
    const updated_at = toIsoTime(deps.clock.now())
    await tx
      .updateTable('organizations')
      .set({ name: input.name, updated_at })
      .where('id', '=', id)
      .execute()
    await recordAuditEvent(deps, tx, {
      organizationId: id,
      by: input.by,
      action: 'organization.updated',
      target: { kind: 'organization', id, name: input.name },
      details: { name: { before, after: input.name } },
    })
    return await readOrganization(tx, id)
  })
}

/**
 * Ends the access of an organization's people and tokens. One that still runs something is not closed by its owner:
 * nobody would be left to stop it. Throws `organization.has_projects`, `organization.not_closable`, `member.role_lost`.
 */
export function closeOrganization(deps: WriteDeps, id: string, by: Actor): Promise<void> {
  return inTransaction(deps.db, async (tx) => {
    const organization = await lockOrganization(tx, id)
    await confirmRole(deps, tx, id, { by, atLeast: 'owner' })
    const { name, slug } = organization
    if (slug === DEFAULT_ORGANIZATION_SLUG) {
      const message = `Cannot close "${name}": the commands of this machine act in it`
      throw new OperationError('organization.not_closable', message)
    }
    const project = await tx
      .selectFrom('projects')
      .select('name')
      .where('organization_id', '=', id)
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
    if (project !== undefined) {
      const message = `Cannot close "${name}": it has projects such as "${project.name}"; delete them first`
      throw new OperationError('organization.has_projects', message)
    }
    if (organization.closed_at !== null) return
    await setClosedAt(deps, tx, { organization, closedAt: toIsoTime(deps.clock.now()), by })
  })
}

/** Gives the people of a closed organization their access back. */
export function reopenOrganization(deps: WriteDeps, id: string, by: Actor): Promise<Organization> {
  return inTransaction(deps.db, async (tx) => {
    const organization = await lockOrganization(tx, id)
    if (organization.closed_at === null) return organization
    await setClosedAt(deps, tx, { organization, closedAt: null, by })
    return { ...organization, closed_at: null }
  })
}

async function setClosedAt(
  deps: Omit<WriteDeps, 'db'>,
  tx: Tx,
  change: { organization: Organization; closedAt: string | null; by: Actor },
): Promise<void> {
  const { organization, closedAt, by } = change
  await tx
    .updateTable('organizations')
    .set({ closed_at: closedAt, updated_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', organization.id)
    .execute()
  await recordAuditEvent(deps, tx, {
    organizationId: organization.id,
    by,
    action: closedAt === null ? 'organization.reopened' : 'organization.closed',
    target: { kind: 'organization', id: organization.id, name: organization.name },
  })
}
