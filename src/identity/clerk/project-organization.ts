import type { AuditAction } from '../../audit/audit-actions.ts'
import { recordAuditEvent } from '../../audit/record-audit-event.ts'
import type { Tx } from '../../database/database.ts'
import { toIsoTime } from '../../lib/clock.ts'
import { slugOf } from '../organizations.ts'
import type { ClerkProjection } from './clerk-projection.ts'
import type { ClerkRecord } from './clerk-records.ts'
import { ensureClerkUser } from './project-user.ts'

/** The id of the organization of this name in Clerk, made if there is none: its own event fills it later. */
export async function ensureClerkOrganization(
  deps: ClerkProjection,
  tx: Tx,
  clerkOrgId: string,
): Promise<string> {
  const known = await findClerkOrganization(tx, clerkOrgId)
  return known?.id ?? (await insertOrganization(deps, tx, clerkOrgId, null))
}

/** Brings the row of an organization into line with the record. Returns the names of the columns that changed. */
export async function projectOrganization(
  deps: ClerkProjection,
  tx: Tx,
  before: ClerkRecord<'organization'> | null,
  record: ClerkRecord<'organization'>,
): Promise<string[]> {
  const row = await findClerkOrganization(tx, record.clerkId)
  if (row === undefined) {
    await insertOrganization(deps, tx, record.clerkId, record)
    return ['created']
  }
  const facts = record.facts?.value
  const planned = {
    name: facts?.name ?? row.name,
    // Addresses, scripts and people's memory hold the slug: only a placeholder's ever changes.
    slug:
      facts !== undefined && (before === null || before.facts === null)
        ? await freeSlug(tx, slugOf(facts.slug ?? facts.name), row.id)
        : row.slug,
    created_by_user_id: await creatorOf(deps, tx, record),
    closed_at: closedAt(before, record, row.closed_at),
  }
  const columns = Object.keys(planned) as (keyof typeof planned)[]
  const changed = columns.filter((column) => planned[column] !== row[column])
  if (changed.length === 0) return []
  await tx
    .updateTable('organizations')
    .set({ ...planned, updated_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', row.id)
    .execute()
  await auditClosing(deps, tx, { ...row, ...planned }, row.closed_at)
  return changed
}

export function findClerkOrganization(tx: Tx, clerkOrgId: string) {
  return tx
    .selectFrom('organizations')
    .select(['id', 'slug', 'name', 'closed_at', 'created_by_user_id'])
    .where('clerk_org_id', '=', clerkOrgId)
    .executeTakeFirst()
}

/** What was closed here stays closed, unless it was Clerk that closed it. */
function closedAt(
  before: ClerkRecord<'organization'> | null,
  record: ClerkRecord<'organization'>,
  now: string | null,
): string | null {
  if (record.deleted) return toIsoTime(record.at)
  return before?.deleted === true ? null : now
}

async function insertOrganization(
  deps: ClerkProjection,
  tx: Tx,
  clerkOrgId: string,
  record: ClerkRecord<'organization'> | null,
): Promise<string> {
  const id = deps.newId()
  const now = toIsoTime(deps.clock.now())
  const facts = record?.facts?.value
  const wanted = facts === undefined ? 'pending' : slugOf(facts.slug ?? facts.name)
  const organization = {
    id,
    name: facts?.name ?? 'Pending',
    slug: await freeSlug(tx, wanted, id),
    closed_at: record?.deleted === true ? toIsoTime(record.at) : null,
  }
  await tx
    .insertInto('organizations')
    .values({
      ...organization,
      clerk_org_id: clerkOrgId,
      created_by_user_id: record === null ? null : await creatorOf(deps, tx, record),
      created_at: now,
      updated_at: now,
    })
    .execute()
  await audit(deps, tx, organization, 'organization.created')
  await auditClosing(deps, tx, organization, null)
  return id
}

async function creatorOf(
  deps: ClerkProjection,
  tx: Tx,
  record: ClerkRecord<'organization'>,
): Promise<string | null> {
  const createdBy = record.facts?.value.createdBy ?? null
  return createdBy === null ? null : await ensureClerkUser(deps, tx, createdBy)
}

interface Named {
  id: string
  name: string
  closed_at: string | null
}

async function auditClosing(
  deps: ClerkProjection,
  tx: Tx,
  organization: Named,
  closedBefore: string | null,
): Promise<void> {
  const closed = organization.closed_at !== null
  if (closed === (closedBefore !== null)) return
  await audit(deps, tx, organization, closed ? 'organization.closed' : 'organization.reopened')
  if (closed) {
    deps.log.warn('Clerk deleted an organization: its people have no access, its apps run', {
      organization: organization.id,
    })
  }
}

async function audit(
  deps: ClerkProjection,
  tx: Tx,
  organization: Named,
  action: AuditAction,
): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId: organization.id,
    by: deps.by,
    action,
    target: { kind: 'organization', id: organization.id, name: organization.name },
  })
}

/** The word, or with a suffix from the random end of the id when another organization has it. */
async function freeSlug(tx: Tx, word: string, id: string): Promise<string> {
  const taken = await tx
    .selectFrom('organizations')
    .select('id')
    .where('slug', '=', word)
    .where('id', '!=', id)
    .executeTakeFirst()
  // "pending" is for organizations whose name is not known yet: never a name, always with a suffix.
  if (taken === undefined && word !== 'pending') return word
  return `${word}-${id.slice(-5)}`
}
