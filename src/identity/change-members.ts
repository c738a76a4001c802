import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { ProjectAccess, Role } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { revokeTokensOfMember } from './api-tokens.ts'
import { confirmRole } from './confirm-role.ts'
import { checkProjectIds, readMember, type Member } from './members.ts'
import { lockOrganization } from './organizations.ts'

interface WriteDeps {
  db: Database
  clock: Clock
  newId: NewId
}

interface MemberChange {
  role?: Role | undefined
  project_access?: ProjectAccess | undefined
  project_ids?: readonly string[] | undefined
}

/**
 * Changes what a member is and reaches; counts from the next request on. Who stops being an owner leaves no open
 * invitations behind. Throws `member.not_found`, `member.from_clerk`, `member.last_owner`, `member.unknown_project`,
 * `member.role_lost`.
 */
export function updateMember(
  deps: WriteDeps,
  of: { organizationId: string; userId: string },
  input: { change: MemberChange; by: Actor },
): Promise<Member> {
  const { organizationId, userId } = of
  const { change, by } = input
  return inTransaction(deps.db, async (tx) => {
    await lockOrganization(tx, organizationId)
    await confirmRole(deps, tx, organizationId, { by, atLeast: 'owner' })
    const before = await readMember(tx, organizationId, userId)
    refuseClerkMember(before)
    const role = change.role ?? before.role
    if (before.role === 'owner' && role !== 'owner') {
      await refuseLastOwner(tx, organizationId, before)
      await revokeInvitationsBy(deps, tx, organizationId, { userId, by })
    }
    const access = change.project_access ?? before.project_access
    await tx
      .updateTable('organization_members')
      .set({ role, project_access: access, updated_at: toIsoTime(deps.clock.now()) })
      .where('organization_id', '=', organizationId)
      .where('user_id', '=', userId)
      .execute()
    if (change.project_ids !== undefined) {
      const projectIds = await checkProjectIds(tx, organizationId, change.project_ids)
      await replaceProjects(deps, tx, { organizationId, userId, projectIds })
    }
    const after = await readMember(tx, organizationId, userId)
    await recordAuditEvent(deps, tx, {
      organizationId,
      by,
      action: 'member.updated',
      target: { kind: 'user', id: userId, name: after.email },
      details: { before: factsOf(before), after: factsOf(after) },
    })
    return after
  })
}

function factsOf({ role, project_access, project_ids }: Member): Record<string, unknown> {
  return { role, project_access, project_ids }
}

async function replaceProjects(
  deps: { clock: Clock },
  tx: Tx,
  access: { organizationId: string; userId: string; projectIds: readonly string[] },
): Promise<void> {
  await tx
    .deleteFrom('project_members')
    .where('organization_id', '=', access.organizationId)
    .where('user_id', '=', access.userId)
    .execute()
  await addProjectMembers(deps, tx, access)
}

/** Lets a member who is limited to some projects reach these too. */
export async function addProjectMembers(
  deps: { clock: Clock },
  tx: Tx,
  access: { organizationId: string; userId: string; projectIds: readonly string[] },
): Promise<void> {
  const { organizationId, userId, projectIds } = access
  if (projectIds.length === 0) return
  const created_at = toIsoTime(deps.clock.now())
  const rows = projectIds.map((project_id) => ({
    organization_id: organizationId,
    project_id,
    user_id: userId,
    created_at,
  }))
  await tx.insertInto('project_members').values(rows).execute()
}

/**
 * Ends a membership: access ends with the next request, the person's tokens of the organization and open invitations
 * are revoked; sessions stay, since a person may belong elsewhere. Owners end every membership, everybody their own.
 * Throws `member.not_found`, `member.from_clerk`, `member.last_owner`, `member.role_lost`.
 */
export function removeMember(
  deps: WriteDeps,
  of: { organizationId: string; userId: string },
  by: Actor,
): Promise<void> {
  const { organizationId, userId } = of
  return inTransaction(deps.db, async (tx) => {
    await lockOrganization(tx, organizationId)
    const leaves = by.kind === 'user' && by.id === userId
    if (!leaves) await confirmRole(deps, tx, organizationId, { by, atLeast: 'owner' })
    const member = await readMember(tx, organizationId, userId)
    refuseClerkMember(member)
    if (member.role === 'owner') await refuseLastOwner(tx, organizationId, member)
    await endMembership(deps, tx, { organizationId, member, by })
  })
}

/** What belongs to the end of a membership, whoever decided it. The caller has locked the organization. */
export async function endMembership(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  end: { organizationId: string; member: Member; by: Actor },
): Promise<void> {
  const { organizationId, member, by } = end
  const userId = member.user_id
  await tx
    .deleteFrom('organization_members')
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .execute()
  await recordAuditEvent(deps, tx, {
    organizationId,
    by,
    action: 'member.removed',
    target: { kind: 'user', id: userId, name: member.email },
    details: { role: member.role },
  })
  await revokeTokensOfMember(deps, tx, { organizationId, userId, by })
  await revokeInvitationsBy(deps, tx, organizationId, { userId, by })
  await endSourcesOf(deps, tx, { organizationId, userId })
}

/**
 * Projects whose source only this person's right at GitHub opened fetch nothing more from there; what runs keeps
 * running. Where the organization claimed the installation, the right is its own.
 */
async function endSourcesOf(
  { clock }: { clock: Clock },
  tx: Tx,
  of: { organizationId: string; userId: string },
): Promise<void> {
  await tx
    .updateTable('project_github_links as link')
    .set({
      active: false,
      inactive_reason: 'member_removed',
      updated_at: toIsoTime(clock.now()),
    })
    .where('link.organization_id', '=', of.organizationId)
    .where('link.linked_by_user_id', '=', of.userId)
    .where((link) =>
      link.not(
        link.exists(
          link
            .selectFrom('github_installations as installation')
            .select('installation.id')
            .whereRef('installation.integration_id', '=', 'link.integration_id')
            .whereRef('installation.installation_id', '=', 'link.installation_id')
            .whereRef('installation.organization_id', '=', 'link.organization_id'),
        ),
      ),
    )
    .execute()
}

function refuseClerkMember(member: Member): void {
  if (member.clerk_membership_id === null) return
  throw new OperationError(
    'member.from_clerk',
    `Cannot change the membership of "${member.email ?? member.name}" here: Clerk decides about it`,
  )
}

async function refuseLastOwner(tx: Tx, organizationId: string, member: Member): Promise<void> {
  const other = await tx
    .selectFrom('organization_members as member')
    .innerJoin('users as user', 'user.id', 'member.user_id')
    .select('member.id')
    .where('member.organization_id', '=', organizationId)
    .where('member.role', '=', 'owner')
    .where('member.user_id', '!=', member.user_id)
    .where('user.deleted_at', 'is', null)
    .executeTakeFirst()
  if (other !== undefined) return
  throw new OperationError(
    'member.last_owner',
    `Cannot take the organization from "${member.email ?? member.name}": nobody else is its owner`,
  )
}

/** Invitations that a person made as owner must not outlive it: they could let the same person in again. */
async function revokeInvitationsBy(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  organizationId: string,
  inviter: { userId: string; by: Actor },
): Promise<void> {
  const revoked = await tx
    .updateTable('invitations')
    .set({ revoked_at: toIsoTime(deps.clock.now()) })
    .where('organization_id', '=', organizationId)
    .where('invited_by_user_id', '=', inviter.userId)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .returning(['id', 'email'])
    .execute()
  for (const { id, email } of revoked) {
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: inviter.by,
      action: 'invitation.revoked',
      target: { kind: 'invitation', id, name: email },
      details: { reason: 'who invited is no owner any more' },
    })
  }
}

/**
 * Notes that a reset link is about to be made for a member. Refuses one that would open another organization too,
 * except to the operator. Throws `member.not_found`, `member.from_clerk`, `member.belongs_elsewhere`, `member.role_lost`.
 */
export function permitResetLink(
  deps: WriteDeps,
  of: { organizationId: string; userId: string },
  asker: { byOperator: boolean; by: Actor },
): Promise<void> {
  const { organizationId, userId } = of
  return inTransaction(deps.db, async (tx) => {
    await lockOrganization(tx, organizationId)
    await confirmRole(deps, tx, organizationId, { by: asker.by, atLeast: 'owner' })
    const member = await readMember(tx, organizationId, userId)
    refuseClerkMember(member)
    if (!asker.byOperator) await refuseMemberElsewhere(tx, organizationId, member)
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: asker.by,
      action: 'password.reset_link_created',
      target: { kind: 'user', id: userId, name: member.email },
    })
  })
}

async function refuseMemberElsewhere(
  tx: Tx,
  organizationId: string,
  member: Member,
): Promise<void> {
  const elsewhere = await tx
    .selectFrom('organization_members')
    .select('id')
    .where('user_id', '=', member.user_id)
    .where('organization_id', '!=', organizationId)
    .executeTakeFirst()
  if (elsewhere === undefined) return
  throw new OperationError(
    'member.belongs_elsewhere',
    `Cannot make a reset link for "${member.email ?? member.name}": the account opens other organizations too, so only the operator may, with "nanoscale members reset-link" on this machine`,
  )
}
