import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { addProjectMembers } from './change-members.ts'
import { alreadyMember, type Invitation } from './invitations.ts'
import { existingProjectIds } from './members.ts'
import { lockOrganization } from './organizations.ts'
import { deleteResetLinks } from './sign-in/verifications.ts'

export interface OpenInvitation extends Invitation {
  organization: { id: string; slug: string; name: string }
}

const MAX_MEMBERS = 1000

/**
 * The invitation whose token has this hash. Throws the same `invitation.not_found` for one that was used, was revoked,
 * has expired or never was, when its organization was closed, and when who invited is no owner any more, whoever took
 * that role away.
 */
export async function findOpenInvitation(
  db: Database | Tx,
  deps: { clock: Clock },
  tokenHash: string,
): Promise<OpenInvitation> {
  const row = await db
    .selectFrom('invitations as invitation')
    .innerJoin('organizations as organization', 'organization.id', 'invitation.organization_id')
    .select([
      'invitation.id',
      'invitation.email',
      'invitation.role',
      'invitation.project_access',
      'invitation.project_ids',
      'invitation.created_at',
      'invitation.expires_at',
      'invitation.organization_id',
      'organization.slug',
      'organization.name',
    ])
    .where('invitation.token_hash', '=', tokenHash)
    .where('invitation.accepted_at', 'is', null)
    .where('invitation.revoked_at', 'is', null)
    .where('invitation.expires_at', '>', toIsoTime(deps.clock.now()))
    .where('organization.closed_at', 'is', null)
    .where((eb) =>
      eb.or([
        // The operator invited.
        eb('invitation.invited_by_user_id', 'is', null),
        eb.exists(
          eb
            .selectFrom('organization_members as inviter')
            .innerJoin('users as user', 'user.id', 'inviter.user_id')
            .select('inviter.id')
            .whereRef('inviter.organization_id', '=', 'invitation.organization_id')
            .whereRef('inviter.user_id', '=', 'invitation.invited_by_user_id')
            .where('inviter.role', '=', 'owner')
            .where('user.deleted_at', 'is', null),
        ),
      ]),
    )
    .executeTakeFirst()
  if (row === undefined) throw unusable()
  const { organization_id, slug, name, ...invitation } = row
  return { ...invitation, organization: { id: organization_id, slug, name } }
}

function unusable(): OperationError {
  return new OperationError(
    'invitation.not_found',
    'Cannot find this invitation: it was used, was taken back or has expired; ask for a new one',
  )
}

/**
 * Locks an open invitation until the transaction ends: of two who accept it at once, the second finds none. To be
 * called before a person is made for it. Throws `invitation.not_found`.
 */
export async function lockOpenInvitation(
  deps: { clock: Clock },
  tx: Tx,
  tokenHash: string,
): Promise<OpenInvitation> {
  const seen = await findOpenInvitation(tx, deps, tokenHash)
  await lockOrganization(tx, seen.organization.id)
  return await findOpenInvitation(tx, deps, tokenHash)
}

/**
 * Makes a person a member by an invitation. That it is this person's is the caller's business: by the invited address,
 * or by an identity provider after the link was opened. Throws `invitation.not_found`, `invitation.already_member`,
 * `member.too_many`.
 */
export async function acceptInvitationInTransaction(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  input: { tokenHash: string; userId: string; by: Actor },
): Promise<{ organization: OpenInvitation['organization']; role: Role }> {
  const { userId, by } = input
  const invitation = await lockOpenInvitation(deps, tx, input.tokenHash)
  const { organization, role } = invitation
  const organizationId = organization.id
  await refuseMemberOrCrowd(tx, invitation, userId)
  const now = toIsoTime(deps.clock.now())
  await tx
    .updateTable('invitations')
    .set({ accepted_at: now, accepted_by_user_id: userId })
    .where('id', '=', invitation.id)
    .execute()
  await tx
    .insertInto('organization_members')
    .values({
      id: deps.newId(),
      organization_id: organizationId,
      user_id: userId,
      role,
      project_access: invitation.project_access,
      clerk_membership_id: null,
      joined_at: now,
      updated_at: now,
    })
    .execute()
  // An owner elsewhere made it while the account opened nothing of ours.
  await deleteResetLinks(tx, userId, ['passed_on'])
  // Some may have been deleted since; who was invited to those alone reaches nothing, and never everything.
  const projectIds = await existingProjectIds(tx, organizationId, invitation.project_ids)
  await addProjectMembers(deps, tx, { organizationId, userId, projectIds })
  await recordAuditEvent(deps, tx, {
    organizationId,
    by,
    action: 'member.joined',
    target: { kind: 'user', id: userId, name: invitation.email },
    details: { role, project_access: invitation.project_access, invitation_id: invitation.id },
  })
  return { organization, role }
}

async function refuseMemberOrCrowd(
  tx: Tx,
  invitation: OpenInvitation,
  userId: string,
): Promise<void> {
  const members = tx
    .selectFrom('organization_members')
    .where('organization_id', '=', invitation.organization.id)
  const own = await members.select('id').where('user_id', '=', userId).executeTakeFirst()
  if (own !== undefined) throw alreadyMember(invitation.email)
  const { count } = await members
    .select((eb) => eb.fn.countAll<number | bigint | string>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) < MAX_MEMBERS) return
  throw new OperationError(
    'member.too_many',
    `Cannot join "${invitation.organization.name}": it has ${MAX_MEMBERS} members already`,
  )
}
