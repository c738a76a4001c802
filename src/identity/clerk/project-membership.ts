import type { AuditAction } from '../../audit/audit-actions.ts'
import { recordAuditEvent } from '../../audit/record-audit-event.ts'
import type { Tx } from '../../database/database.ts'
import type { Role } from '../../database/schema.ts'
import { toIsoTime } from '../../lib/clock.ts'
import { endMembership } from '../change-members.ts'
import { lockOrganization } from '../organizations.ts'
import { deleteResetLinks } from '../sign-in/verifications.ts'
import type { ClerkProjection } from './clerk-projection.ts'
import {
  isLater,
  readClerkRecord,
  readMembershipRecords,
  type ClerkPair,
  type ClerkRecord,
} from './clerk-records.ts'
import { findClerkOrganization } from './project-organization.ts'
import { findClerkUser } from './project-user.ts'

export interface PlannedMembership {
  role: Role
  clerk_membership_id: string
  joined_at: string
}

interface PairRecords {
  user: ClerkRecord<'user'> | null
  organization: ClerkRecord<'organization'> | null
  memberships: readonly ClerkRecord<'membership'>[]
}

/**
 * Who is a member by what Clerk said: somebody with a membership that lives, when neither side was deleted; the newest
 * of several counts. Null: nobody. A role of Clerk that nobody mapped is `viewer`; the person who made the organization
 * is its owner as long as they are an admin of it.
 */
export function planMembership(
  { user, organization, memberships }: PairRecords,
  roles: Readonly<Record<string, Role>>,
): PlannedMembership | null {
  if (user?.deleted === true || organization?.deleted === true) return null
  let newest: ClerkRecord<'membership'> | null = null
  for (const membership of memberships) {
    if (membership.deleted || membership.facts === null) continue
    if (newest === null || isLater(membership, newest)) newest = membership
  }
  if (newest === null || newest.facts === null) return null
  const { role, joinedAt } = newest.facts.value
  const mapped = mapRole(roles, role) ?? 'viewer'
  const made = organization?.facts?.value.createdBy === newest.clerkUserId
  return {
    role: made && mapped === 'admin' ? 'owner' : mapped,
    clerk_membership_id: newest.clerkId,
    joined_at: toIsoTime(joinedAt),
  }
}

/** Our role for Clerk's; undefined when nobody mapped it. */
export function mapRole(roles: Readonly<Record<string, Role>>, role: string): Role | undefined {
  return Object.hasOwn(roles, role) ? roles[role] : undefined
}

/** Brings one membership into line with the records. Somebody who became a member here, not by Clerk, is left alone. */
export async function projectMembership(
  deps: ClerkProjection,
  tx: Tx,
  pair: ClerkPair,
): Promise<void> {
  const user = await findClerkUser(tx, pair.clerkUserId)
  const organization = await findClerkOrganization(tx, pair.clerkOrgId)
  if (organization === undefined) return
  const planned = planMembership(
    {
      user: await readClerkRecord(tx, 'user', pair.clerkUserId),
      organization: await readClerkRecord(tx, 'organization', pair.clerkOrgId),
      memberships: await readMembershipRecords(tx, pair),
    },
    deps.config.clerkRoles,
  )
  if (user === undefined) return
  const row = await tx
    .selectFrom('organization_members')
    .select(['id', 'role', 'clerk_membership_id', 'joined_at'])
    .where('organization_id', '=', organization.id)
    .where('user_id', '=', user.id)
    .executeTakeFirst()
  if (row !== undefined && row.clerk_membership_id === null) return
  const member = {
    organizationId: organization.id,
    userId: user.id,
    name: user.clerk_primary_email ?? user.name,
  }
  if (planned === null) {
    if (row !== undefined) await removeMember(deps, tx, member, row)
    return
  }
  if (row === undefined) return await addMember(deps, tx, member, planned)
  await updateMember(deps, tx, member, row, planned)
}

type Row = { id: string; role: Role; clerk_membership_id: string | null; joined_at: string }

interface Member {
  organizationId: string
  userId: string
  name: string
}

async function addMember(
  deps: ClerkProjection,
  tx: Tx,
  member: Member,
  planned: PlannedMembership,
): Promise<void> {
  await tx
    .insertInto('organization_members')
    .values({
      ...planned,
      id: deps.newId(),
      organization_id: member.organizationId,
      user_id: member.userId,
      project_access: 'all',
      updated_at: toIsoTime(deps.clock.now()),
    })
    .execute()
  // An owner elsewhere made it while the account opened nothing of ours.
  await deleteResetLinks(tx, member.userId, ['passed_on'])
  await audit(deps, tx, member, 'member.joined', { role: planned.role })
}

async function updateMember(
  deps: ClerkProjection,
  tx: Tx,
  member: Member,
  row: Row,
  planned: PlannedMembership,
): Promise<void> {
  const same =
    row.role === planned.role &&
    row.clerk_membership_id === planned.clerk_membership_id &&
    row.joined_at === planned.joined_at
  if (same) return
  await tx
    .updateTable('organization_members')
    .set({ ...planned, updated_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', row.id)
    .execute()
  if (row.role === planned.role) return
  await audit(deps, tx, member, 'member.updated', { role: { from: row.role, to: planned.role } })
}

async function removeMember(
  deps: ClerkProjection,
  tx: Tx,
  { organizationId, userId, name }: Member,
  row: Row,
): Promise<void> {
  await lockOrganization(tx, organizationId)
  const access = { project_access: 'all' as const, project_ids: [] }
  const member = { ...row, ...access, user_id: userId, name, email: name }
  await endMembership(deps, tx, { organizationId, member, by: deps.by })
}

async function audit(
  deps: ClerkProjection,
  tx: Tx,
  member: Member,
  action: AuditAction,
  details: Record<string, unknown>,
): Promise<void> {
  await recordAuditEvent(deps, tx, {
    organizationId: member.organizationId,
    by: deps.by,
    action,
    target: { kind: 'user', id: member.userId, name: member.name },
    details,
  })
}
