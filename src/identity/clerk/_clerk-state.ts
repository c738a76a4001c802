import type { Database } from '../../database/database.ts'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { newId } from '../../lib/ids.ts'
import { silentLogger } from '../../lib/logger.ts'
import type { ClerkState, HistoryMessage } from './_clerk-history.ts'
import { applyClerkEvent, type AppliedClerkEvent } from './apply-clerk-event.ts'
import { parseClerkEvent } from './parse-clerk-event.ts'

export const CLERK_ISSUER = 'https://clerk.example.com'

/** What `applyClerkEvent()` needs, over a database. */
export function clerkDeps(db: Database, clock: Clock = systemClock) {
  return {
    db,
    clock,
    newId,
    log: silentLogger,
    config: {
      clerkIssuer: CLERK_ISSUER as string | null,
      clerkRoles: { 'org:admin': 'admin', 'org:member': 'member' } as const,
    },
    by: { kind: 'provider', id: null, name: 'Clerk', address: null, requestId: null } as const,
  }
}

/** Parses and applies a message, as the webhook does once its signature was checked. */
export async function applyMessage(
  deps: ReturnType<typeof clerkDeps>,
  message: Pick<HistoryMessage, 'id' | 'body'>,
): Promise<AppliedClerkEvent> {
  const parsed = parseClerkEvent(Buffer.from(JSON.stringify(message.body)))
  if (parsed.kind !== 'event') throw new Error(`Not an event: ${JSON.stringify(parsed)}`)
  return await applyClerkEvent(deps, parsed.event, message.id)
}

/** Everything that Clerk decides about, without ids of ours and suffixes of slugs. */
export async function readClerkState(db: Database): Promise<ClerkState> {
  const users = await db
    .selectFrom('users')
    .select(['clerk_user_id', 'name', 'first_name', 'last_name'])
    .select(['clerk_primary_email', 'deleted_at'])
    .where('clerk_user_id', 'is not', null)
    .orderBy('clerk_user_id')
    .execute()
  const organizations = await db
    .selectFrom('organizations')
    .leftJoin('users', 'users.id', 'organizations.created_by_user_id')
    .select(['clerk_org_id', 'organizations.name', 'slug', 'closed_at'])
    .select('users.clerk_user_id as created_by')
    .where('clerk_org_id', 'is not', null)
    .orderBy('clerk_org_id')
    .execute()
  const members = await db
    .selectFrom('organization_members as member')
    .innerJoin('users', 'users.id', 'member.user_id')
    .innerJoin('organizations', 'organizations.id', 'member.organization_id')
    .select(['clerk_user_id', 'clerk_org_id', 'role', 'clerk_membership_id', 'joined_at'])
    .orderBy('clerk_user_id')
    .orderBy('clerk_org_id')
    .execute()
  return {
    users,
    organizations: organizations.map((row) => ({ ...row, slug: row.slug.split('-')[0] ?? '' })),
    members,
  }
}

export const T0 = Date.UTC(2026, 0, 1)
export const iso = (offset: number) => new Date(T0 + offset).toISOString()

let count = 0

/** Tells something of this moment, in a message of its own. */
export function tell(db: Database, type: string, at: number, data: Record<string, unknown>) {
  count += 1
  const body = { object: 'event', type, timestamp: T0 + at, data }
  return applyMessage(clerkDeps(db), { id: `msg_${count}`, body })
}

export const ada = (name: string) => ({ id: 'user_Ada', first_name: name, last_name: null })
export const acme = (more: Record<string, unknown> = {}) => ({
  id: 'org_Acme',
  name: 'Acme',
  slug: 'acme',
  created_by: 'user_Ada',
  ...more,
})
export const membership = (id: string, role: string, user = 'user_Ada') => ({
  id: `orgmem_${id}`,
  role,
  organization: { id: 'org_Acme' },
  public_user_data: { user_id: user },
})

export const rolesOf = async (db: Database) =>
  (await readClerkState(db)).members.map((member) => [member['clerk_user_id'], member['role']])

export function userOf(db: Database, clerkUserId: string) {
  return db
    .selectFrom('users')
    .selectAll()
    .where('clerk_user_id', '=', clerkUserId)
    .executeTakeFirstOrThrow()
}
