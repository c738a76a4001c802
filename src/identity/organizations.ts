import type { Database, Tx } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'

export interface Organization {
  id: string
  slug: string
  name: string
  /** Nobody but the operator has access since then; its apps run. */
  closed_at: string | null
}

export const DEFAULT_ORGANIZATION_SLUG = 'default'

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
  return db
    .selectFrom('organizations')
    .select(['id', 'slug', 'name', 'closed_at'])
    .where('slug', '=', slug)
    .executeTakeFirst()
}

export function readOrganization(db: Database | Tx, id: string): Promise<Organization> {
  return db
    .selectFrom('organizations')
    .select(['id', 'slug', 'name', 'closed_at'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
}
