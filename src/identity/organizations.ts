import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { isUniqueViolation } from '../database/database-errors.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Role } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { deleteResetLinks } from './sign-in/verifications.ts'

export interface Organization {
  id: string
  slug: string
  name: string
  /** Nobody but the operator has access since then; its apps run. */
  closed_at: string | null
  created_at: string
  /** Not null: Clerk feeds this organization. */
  clerk_org_id: string | null
}

interface WriteDeps {
  db: Database
  clock: Clock
  newId: NewId
}

export const DEFAULT_ORGANIZATION_SLUG = 'default'

/** Each needs a row or two; a thousand customers of one server are far more than it can run apps for. */
const MAX_ORGANIZATIONS = 1000
const MAX_SLUG = 40
const COLUMNS = ['id', 'slug', 'name', 'closed_at', 'created_at', 'clerk_org_id'] as const

/** The organization that an instance begins with, made if it is missing. Safe to call from several processes. */
export async function ensureDefaultOrganization(
  db: Database,
  deps: { clock: Clock; newId: NewId },
): Promise<Organization> {
  const now = toIsoTime(deps.clock.now())
  await db
    .insertInto('organizations')
    .values({
      id: deps.newId(),
      slug: DEFAULT_ORGANIZATION_SLUG,
      name: 'Default',
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .execute()
  const organization = await findOrganizationBySlug(db, DEFAULT_ORGANIZATION_SLUG)
  if (organization === undefined) throw new Error('The default organization was not stored')
  return organization
}

export function findOrganizationBySlug(
  db: Database | Tx,
  slug: string,
): Promise<Organization | undefined> {
  return db.selectFrom('organizations').select(COLUMNS).where('slug', '=', slug).executeTakeFirst()
}

/** Throws `organization.not_found`. */
export async function readOrganization(db: Database | Tx, id: string): Promise<Organization> {
  const organization = await db
    .selectFrom('organizations')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst()
  if (organization === undefined) throw unknownOrganization(id)
  return organization
}

/** What an id of nothing, or of an organization of others, is answered with. */
export function unknownOrganization(id: string): OperationError {
  return new OperationError('organization.not_found', `Cannot find organization "${id}"`)
}

/**
 * Makes other transactions that change who belongs to the organization wait for this one, on both engines: so that two
 * owners who remove each other at the same moment do not both succeed. Throws `organization.not_found`.
 */
export async function lockOrganization(tx: Tx, id: string): Promise<Organization> {
  await tx
    .updateTable('organizations')
    .set((eb) => ({ updated_at: eb.ref('updated_at') }))
    .where('id', '=', id)
    .execute()
  return await readOrganization(tx, id)
}

/** All organizations after the id `after`, oldest first, closed ones too: for the operator. */
export function listOrganizations(
  db: Database,
  page: { after: string | null; limit: number },
): Promise<Organization[]> {
  return db
    .selectFrom('organizations')
    .select(COLUMNS)
    .where('id', '>', page.after ?? '')
    .orderBy('id')
    .limit(page.limit)
    .execute()
}

/** The open organizations that a person belongs to, after the id `after`, with what the person is there. */
export function listOrganizationsOf(
  db: Database,
  userId: string,
  page: { after: string | null; limit: number },
): Promise<(Organization & { role: Role })[]> {
  return db
    .selectFrom('organizations')
    .innerJoin('organization_members as member', 'member.organization_id', 'organizations.id')
    .select([
      'organizations.id',
      'slug',
      'name',
      'closed_at',
      'organizations.created_at',
      'clerk_org_id',
      'member.role',
    ])
    .where('member.user_id', '=', userId)
    .where('closed_at', 'is', null)
    .where('organizations.id', '>', page.after ?? '')
    .orderBy('organizations.id')
    .limit(page.limit)
    .execute()
}

/**
 * Makes an organization, with its maker as owner; the operator's has no members yet. A slug that is made of the name
 * gets a suffix when it is taken. Throws `organization.slug_taken`, `organization.too_many`.
 */
export async function createOrganization(
  deps: WriteDeps,
  input: { name: string; slug?: string | undefined; ownerUserId: string | null; by: Actor },
): Promise<Organization> {
  const id = deps.newId()
  const base = slugOf(input.name)
  const slugs = input.slug === undefined ? [base, `${base}-${id.slice(-5)}`] : [input.slug]
  for (const slug of slugs) {
    try {
      return await inTransaction(deps.db, (tx) => insertOrganization(deps, tx, id, slug, input))
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
    }
  }
  const slug = slugs.at(-1)
  const details = { slug: ['it is taken'] }
  const message = `Cannot give an organization the slug "${slug}": another one has it`
  throw new OperationError('organization.slug_taken', message, { details })
}

async function insertOrganization(
  deps: Omit<WriteDeps, 'db'>,
  tx: Tx,
  id: string,
  slug: string,
  input: { name: string; ownerUserId: string | null; by: Actor },
): Promise<Organization> {
  const { name, ownerUserId, by } = input
  await refuseTooMany(tx)
  const now = toIsoTime(deps.clock.now())
  const stored = { id, slug, name, created_at: now, closed_at: null, clerk_org_id: null }
  await tx
    .insertInto('organizations')
    .values({ ...stored, created_by_user_id: ownerUserId, updated_at: now })
    .execute()
  if (ownerUserId !== null) {
    // An owner elsewhere made it while the account opened nothing here.
    await deleteResetLinks(tx, ownerUserId, ['passed_on'])
    await tx
      .insertInto('organization_members')
      .values({
        id: deps.newId(),
        organization_id: id,
        user_id: ownerUserId,
        role: 'owner',
        project_access: 'all',
        clerk_membership_id: null,
        joined_at: now,
        updated_at: now,
      })
      .execute()
  }
  const target = { kind: 'organization', id, name }
  await recordAuditEvent(deps, tx, {
    organizationId: id,
    by,
    action: 'organization.created',
    target,
    details: { slug, owner: ownerUserId },
  })
  return stored
}

async function refuseTooMany(tx: Tx): Promise<void> {
  const { count } = await tx
    .selectFrom('organizations')
    .select((eb) => eb.fn.countAll<number | bigint | string>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) < MAX_ORGANIZATIONS) return
  const message = `Cannot create an organization: there are ${MAX_ORGANIZATIONS} already`
  throw new OperationError('organization.too_many', message)
}

/** The name as a part of commands and headers: lower case, without accents; `organization` when nothing is left. */
export function slugOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    // Room for a suffix.
    .slice(0, MAX_SLUG - 6)
    .replaceAll(/^-+|-+$/g, '')
  return plain === '' ? 'organization' : plain
}
