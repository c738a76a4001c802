import type { Database, Tx } from '../database/database.ts'
import type { ProjectAccess, Role } from '../database/schema.ts'
import { OperationError } from '../lib/errors.ts'
import type { ProjectReach } from './principal.ts'

export interface Member {
  user_id: string
  name: string
  /** What mail reaches them at; null when Clerk did not tell. */
  email: string | null
  role: Role
  project_access: ProjectAccess
  /** What `selected` reaches. */
  project_ids: string[]
  joined_at: string
  /** Not null: Clerk decides about this membership. */
  clerk_membership_id: string | null
}

/** People whom Clerk feeds have an address that no mail reaches; their own is what Clerk says. */
export const CLERK_ADDRESS_SUFFIX = '@clerk.invalid'

const COLUMNS = [
  'member.id',
  'member.user_id',
  'member.role',
  'member.project_access',
  'member.joined_at',
  'member.clerk_membership_id',
  'user.name',
  'user.email',
  'user.clerk_primary_email',
] as const

function members(db: Database | Tx, organizationId: string) {
  return db
    .selectFrom('organization_members as member')
    .innerJoin('users as user', 'user.id', 'member.user_id')
    .select(COLUMNS)
    .where('member.organization_id', '=', organizationId)
    .where('user.deleted_at', 'is', null)
}

/**
 * Members of an organization after the cursor, those who joined first at the top. With `email`, only who has this
 * address. Projects out of `reach` are not named. The cursor is the id of a membership.
 */
export async function listMembers(
  db: Database,
  organizationId: string,
  page: { after: string | null; limit: number; email?: string | undefined; reach: ProjectReach },
): Promise<{ items: Member[]; next: string | null }> {
  let query = members(db, organizationId).where('member.id', '>', page.after ?? '')
  if (page.email !== undefined) {
    const email = page.email.trim().toLowerCase()
    query = query.where((eb) =>
      eb.or([eb('user.email', '=', email), eb('user.clerk_primary_email', '=', email)]),
    )
  }
  const rows = await query
    .orderBy('member.id')
    .limit(page.limit + 1)
    .execute()
  const shown = rows.slice(0, page.limit)
  const projects = await readProjectIds(db, organizationId, shown, page.reach)
  return {
    items: shown.map((row) => memberOf(row, projects.get(row.user_id) ?? [])),
    next: rows.length > page.limit ? (shown.at(-1)?.id ?? null) : null,
  }
}

/** Throws `member.not_found`, for a person of another organization too. */
export async function readMember(
  db: Database | Tx,
  organizationId: string,
  userId: string,
): Promise<Member> {
  const row = await members(db, organizationId)
    .where('member.user_id', '=', userId)
    .executeTakeFirst()
  if (row === undefined) {
    throw new OperationError('member.not_found', `Cannot find member "${userId}"`)
  }
  const projects = await readProjectIds(db, organizationId, [row])
  return memberOf(row, projects.get(userId) ?? [])
}

type MemberRow = Omit<Member, 'project_ids'> & { clerk_primary_email: string | null; email: string }

/** What mail reaches a person at; null when nothing does that we know. */
export function addressOf(user: { email: string; clerk_primary_email: string | null }) {
  return user.email.endsWith(CLERK_ADDRESS_SUFFIX) ? user.clerk_primary_email : user.email
}

function memberOf(row: MemberRow, projectIds: string[]): Member {
  return {
    user_id: row.user_id,
    name: row.name,
    email: addressOf(row),
    role: row.role,
    project_access: row.project_access,
    project_ids: projectIds,
    joined_at: row.joined_at,
    clerk_membership_id: row.clerk_membership_id,
  }
}

async function readProjectIds(
  db: Database | Tx,
  organizationId: string,
  of: readonly { user_id: string }[],
  reach: ProjectReach = { kind: 'all' },
): Promise<Map<string, string[]>> {
  const ids = new Map<string, string[]>()
  if (of.length === 0) return ids
  const userIds = of.map((row) => row.user_id)
  let query = db
    .selectFrom('project_members as access')
    .innerJoin('projects as project', 'project.id', 'access.project_id')
    .select(['access.user_id', 'access.project_id'])
    .where('access.organization_id', '=', organizationId)
    .where('access.user_id', 'in', userIds)
    .where('project.deleted_at', 'is', null)
  if (reach.kind === 'selected') {
    query = query.where('access.project_id', 'in', (eb) =>
      eb
        .selectFrom('project_members')
        .select('project_id')
        .where('organization_id', '=', organizationId)
        .where('user_id', '=', reach.userId),
    )
  }
  const rows = await query.orderBy('access.project_id').execute()
  for (const { user_id, project_id } of rows) {
    ids.set(user_id, [...(ids.get(user_id) ?? []), project_id])
  }
  return ids
}

/**
 * The given ids without repetition, when all are projects of the organization. Throws `member.unknown_project` for one
 * of another and for none at all alike.
 */
export async function checkProjectIds(
  db: Database | Tx,
  organizationId: string,
  projectIds: readonly string[],
): Promise<string[]> {
  const wanted = [...new Set(projectIds)]
  if (wanted.length === 0) return wanted
  const known = await existingProjectIds(db, organizationId, wanted)
  const missing = wanted.find((id) => !known.includes(id))
  if (missing === undefined) return wanted
  throw new OperationError(
    'member.unknown_project',
    `Cannot give access to project "${missing}": the organization has none with this id`,
    { details: { project_ids: ['not all are projects of the organization'] } },
  )
}

/** Those of the ids that are projects of the organization. */
export async function existingProjectIds(
  db: Database | Tx,
  organizationId: string,
  projectIds: readonly string[],
): Promise<string[]> {
  if (projectIds.length === 0) return []
  const rows = await db
    .selectFrom('projects')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('deleted_at', 'is', null)
    .where('id', 'in', projectIds)
    .execute()
  return rows.map((row) => row.id)
}
