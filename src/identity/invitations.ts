import { randomBytes } from 'node:crypto'

import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { ProjectAccess, Role } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { confirmRole } from './confirm-role.ts'
import { hashToken } from './hash-token.ts'
import { checkProjectIds, CLERK_ADDRESS_SUFFIX } from './members.ts'
import { lockOrganization } from './organizations.ts'
import { normalizeEmail } from './people.ts'

interface WriteDeps {
  db: Database
  clock: Clock
  newId: NewId
}

export interface Invitation {
  id: string
  email: string
  role: Role
  project_access: ProjectAccess
  project_ids: string[]
  created_at: string
  expires_at: string
}

interface NewInvitation {
  email: string
  role: Role
  projectAccess: ProjectAccess
  projectIds: readonly string[]
  /** Null: the operator. */
  invitedByUserId: string | null
  by: Actor
}

const DAY_MS = 86_400_000
const LIFETIME_MS = 7 * DAY_MS
/** Open ones of an organization: nobody sends mail to thousands by us. */
const MAX_OPEN = 200
/** Nobody is mailed by us over and over, and revoked ones do not pile up. */
const MAX_A_DAY = 500
const MAX_A_DAY_FOR_ADDRESS = 5
const COLUMNS = [
  'invitation.id',
  'invitation.email',
  'invitation.role',
  'invitation.project_access',
  'invitation.project_ids',
  'invitation.created_at',
  'invitation.expires_at',
] as const

/**
 * Invites an address for seven days, in place of an open invitation of the same address. The token is in this answer
 * alone. Throws `invitation.already_member`, `invitation.too_many`, `invitation.too_often`,
 * `invitation.unreachable_address`, `member.role_lost`, `member.unknown_project`, `person.email_invalid`.
 */
export async function createInvitation(
  deps: WriteDeps,
  organizationId: string,
  input: NewInvitation,
): Promise<{ invitation: Invitation; token: string; organizationName: string }> {
  const email = invitedEmail(input.email)
  const token = randomBytes(32).toString('base64url')
  const token_hash = hashToken(token)
  const now = deps.clock.now()
  return await inTransaction(deps.db, async (tx) => {
    const { name } = await lockOrganization(tx, organizationId)
    await confirmRole(deps, tx, organizationId, { by: input.by, atLeast: 'owner' })
    await refuseMember(tx, organizationId, email)
    const project_ids = await checkProjectIds(tx, organizationId, input.projectIds)
    const replaced = await revokeOpen(tx, organizationId, email, toIsoTime(now))
    await refuseTooMany(tx, organizationId, toIsoTime(now))
    await refuseTooOften(tx, organizationId, { email, since: toIsoTime(now - DAY_MS) })
    const invitation: Invitation = {
      id: deps.newId(),
      email,
      role: input.role,
      project_access: input.projectAccess,
      project_ids,
      created_at: toIsoTime(now),
      expires_at: toIsoTime(now + LIFETIME_MS),
    }
    await tx
      .insertInto('invitations')
      .values({
        ...invitation,
        organization_id: organizationId,
        token_hash,
        invited_by_user_id: input.invitedByUserId,
        accepted_at: null,
        accepted_by_user_id: null,
        revoked_at: null,
      })
      .execute()
    const { role, project_access } = invitation
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: input.by,
      action: 'invitation.created',
      target: { kind: 'invitation', id: invitation.id, name: email },
      details: { role, project_access, project_ids, replaced },
    })
    return { invitation, token, organizationName: name }
  })
}

function invitedEmail(given: string): string {
  const email = normalizeEmail(given)
  if (!email.endsWith(CLERK_ADDRESS_SUFFIX)) return email
  // An account with such an address would take the place of a person whom Clerk tells of later.
  throw new OperationError('invitation.unreachable_address', `Cannot invite "${email}"`, {
    details: { email: ['no mail reaches this address'] },
  })
}

async function refuseMember(tx: Tx, organizationId: string, email: string): Promise<void> {
  const member = await tx
    .selectFrom('organization_members as member')
    .innerJoin('users as user', 'user.id', 'member.user_id')
    .select('member.id')
    .where('member.organization_id', '=', organizationId)
    .where('user.email', '=', email)
    .where('user.deleted_at', 'is', null)
    .executeTakeFirst()
  if (member !== undefined) throw alreadyMember(email)
}

/** Of somebody who belongs to the organization: an invitation would change nothing. */
export function alreadyMember(email: string): OperationError {
  const message = `Cannot invite "${email}" again: this person is a member`
  return new OperationError('invitation.already_member', message)
}

async function revokeOpen(
  tx: Tx,
  organizationId: string,
  email: string,
  now: string,
): Promise<string | null> {
  const open = await tx
    .updateTable('invitations')
    .set({ revoked_at: now })
    .where('organization_id', '=', organizationId)
    .where('email', '=', email)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return open?.id ?? null
}

async function refuseTooMany(tx: Tx, organizationId: string, now: string): Promise<void> {
  const { count } = await tx
    .selectFrom('invitations')
    .select((eb) => eb.fn.countAll<number | bigint | string>().as('count'))
    .where('organization_id', '=', organizationId)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow()
  if (Number(count) < MAX_OPEN) return
  throw new OperationError(
    'invitation.too_many',
    `Cannot invite more people: ${MAX_OPEN} invitations wait for an answer; revoke some of them`,
  )
}

async function refuseTooOften(
  tx: Tx,
  organizationId: string,
  { email, since }: { email: string; since: string },
): Promise<void> {
  const recent = tx
    .selectFrom('invitations')
    .select((eb) => eb.fn.countAll<number | bigint | string>().as('count'))
    .where('organization_id', '=', organizationId)
    .where('created_at', '>', since)
  const all = await recent.executeTakeFirstOrThrow()
  const same = await recent.where('email', '=', email).executeTakeFirstOrThrow()
  if (Number(same.count) < MAX_A_DAY_FOR_ADDRESS && Number(all.count) < MAX_A_DAY) return
  const message = `Cannot invite "${email}" now: there were too many invitations today; try tomorrow`
  throw new OperationError('invitation.too_often', message)
}

/** Invitations that were neither accepted nor revoked, after the id `after`, oldest first; expired ones too. */
export function listInvitations(
  db: Database,
  organizationId: string,
  page: { after: string | null; limit: number },
): Promise<(Invitation & { inviter_name: string | null })[]> {
  return db
    .selectFrom('invitations as invitation')
    .leftJoin('users as user', 'user.id', 'invitation.invited_by_user_id')
    .select(COLUMNS)
    .select('user.name as inviter_name')
    .where('invitation.organization_id', '=', organizationId)
    .where('invitation.accepted_at', 'is', null)
    .where('invitation.revoked_at', 'is', null)
    .where('invitation.id', '>', page.after ?? '')
    .orderBy('invitation.id')
    .limit(page.limit)
    .execute()
}

/** Takes an invitation back. Throws `invitation.not_found`, for one that was accepted too. */
export function revokeInvitation(
  deps: WriteDeps,
  organizationId: string,
  id: string,
  by: Actor,
): Promise<void> {
  return inTransaction(deps.db, async (tx) => {
    const revoked = await tx
      .updateTable('invitations')
      .set({ revoked_at: toIsoTime(deps.clock.now()) })
      .where('organization_id', '=', organizationId)
      .where('id', '=', id)
      .where('accepted_at', 'is', null)
      .where('revoked_at', 'is', null)
      .returning('email')
      .executeTakeFirst()
    if (revoked === undefined) {
      throw new OperationError('invitation.not_found', `Cannot find invitation "${id}"`)
    }
    await recordAuditEvent(deps, tx, {
      organizationId,
      by,
      action: 'invitation.revoked',
      target: { kind: 'invitation', id, name: revoked.email },
    })
  })
}
