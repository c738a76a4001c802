import type { Database, Tx } from '../database/database.ts'
import type { Membership } from './principal.ts'

/**
 * What a person may in an organization now; null for who is no member, was deleted, or when the organization was
 * closed. Without an organization: the membership that the person has had longest.
 */
export async function readMembership(
  db: Database | Tx,
  userId: string,
  organization: { id: string } | { slug: string } | null,
): Promise<Membership | null> {
  let query = db
    .selectFrom('organization_members as member')
    .innerJoin('organizations as organization', 'organization.id', 'member.organization_id')
    .innerJoin('users as user', 'user.id', 'member.user_id')
    .select(['member.organization_id', 'member.role', 'member.project_access'])
    .where('member.user_id', '=', userId)
    .where('organization.closed_at', 'is', null)
    .where('user.deleted_at', 'is', null)
  if (organization !== null) {
    query =
      'id' in organization
        ? query.where('organization.id', '=', organization.id)
        : query.where('organization.slug', '=', organization.slug)
  }
  const row = await query.orderBy('member.joined_at').orderBy('member.id').executeTakeFirst()
  if (row === undefined) return null
  const limited =
    row.project_access === 'selected' && (row.role === 'member' || row.role === 'viewer')
  return {
    organizationId: row.organization_id,
    role: row.role,
    reach: limited ? { kind: 'selected', userId } : { kind: 'all' },
  }
}
