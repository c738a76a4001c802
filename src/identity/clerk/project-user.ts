import { recordAuditEvent } from '../../audit/record-audit-event.ts'
import type { Tx } from '../../database/database.ts'
import { toIsoTime } from '../../lib/clock.ts'
import type { ClerkProjection } from './clerk-projection.ts'
import { readClerkRecord, type ClerkRecord } from './clerk-records.ts'

interface UserColumns {
  name: string
  first_name: string | null
  last_name: string | null
  clerk_primary_email: string | null
  deleted_at: string | null
}

const NAMELESS = { first_name: null, last_name: null, clerk_primary_email: null, deleted_at: null }

/** What `users` says about a person of Clerk. Without a record: somebody whom a membership names before Clerk does. */
export function planUser(record: ClerkRecord<'user'> | null): UserColumns {
  if (record === null) return { ...NAMELESS, name: 'Pending' }
  const at = toIsoTime(record.at)
  const facts = record.facts?.value
  if (record.deleted || facts === undefined) {
    return { ...NAMELESS, name: 'Deleted person', deleted_at: at }
  }
  return {
    name: facts.name,
    first_name: facts.firstName,
    last_name: facts.lastName,
    clerk_primary_email: facts.primaryEmail,
    deleted_at: facts.banned ? at : null,
  }
}

/**
 * An address that no mail reaches and no two people of Clerk share. Clerk's ids are case-sensitive and our addresses
 * are not: a capital letter is written as a hyphen and the small one.
 */
export function syntheticEmail(clerkUserId: string): string {
  const local = clerkUserId.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return `${local}@clerk.invalid`
}

/** The id of the person of this name in Clerk, made if nobody is. Null: Clerk deleted somebody who lives on locally. */
export async function ensureClerkUser(
  deps: ClerkProjection,
  tx: Tx,
  clerkUserId: string,
): Promise<string | null> {
  const known = await findClerkUser(tx, clerkUserId)
  if (known !== undefined) return known.id
  const record = await readClerkRecord(tx, 'user', clerkUserId)
  return await insertClerkUser(deps, tx, clerkUserId, record)
}

/** Brings the row of a person into line with the record. Returns the names of the columns that changed. */
export async function projectUser(
  deps: ClerkProjection,
  tx: Tx,
  before: ClerkRecord<'user'> | null,
  record: ClerkRecord<'user'>,
): Promise<string[]> {
  const row = await findClerkUser(tx, record.clerkId)
  if (row === undefined) {
    const id = await insertClerkUser(deps, tx, record.clerkId, record)
    return id === null ? [] : ['created']
  }
  await addClerkAccount(deps, tx, { userId: row.id, clerkUserId: record.clerkId })
  const planned = planUser(record)
  if (record.deleted && (await hasPassword(tx, row.id))) {
    await letGo(deps, tx, row.id, record.clerkId)
    return ['clerk_user_id']
  }
  // Whoever was barred here stays so, unless it was Clerk that barred them.
  if (planned.deleted_at === null && (before === null || planUser(before).deleted_at === null)) {
    planned.deleted_at = row.deleted_at
  }
  if (planned.deleted_at !== null) {
    await tx.deleteFrom('sessions').where('user_id', '=', row.id).execute()
  }
  const columns = Object.keys(planned) as (keyof UserColumns)[]
  const changed = columns.filter((column) => planned[column] !== row[column])
  if (changed.length === 0) return []
  await tx
    .updateTable('users')
    .set({ ...planned, updated_at: toIsoTime(deps.clock.now()) })
    .where('id', '=', row.id)
    .execute()
  return changed
}

export function findClerkUser(tx: Tx, clerkUserId: string) {
  return tx
    .selectFrom('users')
    .select(['id', 'name', 'first_name', 'last_name', 'clerk_primary_email', 'deleted_at', 'email'])
    .where('clerk_user_id', '=', clerkUserId)
    .executeTakeFirst()
}

async function insertClerkUser(
  deps: ClerkProjection,
  tx: Tx,
  clerkUserId: string,
  record: ClerkRecord<'user'> | null,
): Promise<string | null> {
  const planned = planUser(record)
  const now = toIsoTime(deps.clock.now())
  const linked = await findLinkedUser(deps, tx, clerkUserId)
  if (linked !== undefined) {
    // This person signed in with Clerk before Clerk told us of them.
    if (record?.deleted === true) return null
    const facts = record === null ? {} : planned
    await tx
      .updateTable('users')
      .set({ ...facts, clerk_user_id: clerkUserId, updated_at: now })
      .where('id', '=', linked.id)
      .execute()
    return linked.id
  }
  const id = deps.newId()
  await tx
    .insertInto('users')
    .values({
      ...planned,
      id,
      clerk_user_id: clerkUserId,
      email: await freeEmail(deps, tx, clerkUserId),
      email_verified: false,
      image: null,
      two_factor_enabled: false,
      created_at: now,
      updated_at: now,
    })
    .execute()
  await addClerkAccount(deps, tx, { userId: id, clerkUserId })
  return id
}

async function freeEmail(deps: ClerkProjection, tx: Tx, clerkUserId: string): Promise<string> {
  const email = syntheticEmail(clerkUserId)
  const taken = await tx
    .selectFrom('users')
    .select('id')
    .where('email', '=', email)
    .executeTakeFirst()
  return taken === undefined ? email : `${deps.newId()}@clerk.invalid`
}

/** Who signs in as this subject of Clerk and is nobody else there. */
function findLinkedUser(deps: ClerkProjection, tx: Tx, clerkUserId: string) {
  if (deps.config.clerkIssuer === null) return Promise.resolve(undefined)
  return tx
    .selectFrom('accounts')
    .innerJoin('users', 'users.id', 'accounts.user_id')
    .select('users.id')
    .where('accounts.provider_id', '=', deps.config.clerkIssuer)
    .where('accounts.account_id', '=', clerkUserId)
    .where('users.clerk_user_id', 'is', null)
    .executeTakeFirst()
}

/** So that this person signs in by OpenID Connect against Clerk: found by issuer and subject, never by address. */
export async function addClerkAccount(
  deps: Pick<ClerkProjection, 'clock' | 'newId' | 'config'>,
  tx: Tx,
  person: { userId: string; clerkUserId: string },
): Promise<void> {
  if (deps.config.clerkIssuer === null) return
  const now = toIsoTime(deps.clock.now())
  await tx
    .insertInto('accounts')
    .values({
      id: deps.newId(),
      user_id: person.userId,
      provider_id: deps.config.clerkIssuer,
      account_id: person.clerkUserId,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.columns(['provider_id', 'account_id']).doNothing())
    .execute()
}

async function hasPassword(tx: Tx, userId: string): Promise<boolean> {
  const account = await tx
    .selectFrom('accounts')
    .select('id')
    .where('user_id', '=', userId)
    .where('provider_id', '=', 'credential')
    .executeTakeFirst()
  return account !== undefined
}

/** Clerk deleted somebody who also has a password here: they stay, as a local person whom Clerk cannot sign in. */
async function letGo(
  deps: ClerkProjection,
  tx: Tx,
  userId: string,
  clerkUserId: string,
): Promise<void> {
  await tx
    .updateTable('users')
    .set({
      clerk_user_id: null,
      clerk_primary_email: null,
      updated_at: toIsoTime(deps.clock.now()),
    })
    .where('id', '=', userId)
    .execute()
  await tx
    .deleteFrom('accounts')
    .where('user_id', '=', userId)
    .where('provider_id', '=', deps.config.clerkIssuer ?? '')
    .where('account_id', '=', clerkUserId)
    .execute()
  await tx.deleteFrom('sessions').where('user_id', '=', userId).execute()
  await recordAuditEvent(deps, tx, {
    organizationId: null,
    by: deps.by,
    action: 'identity.unlinked',
    target: { kind: 'user', id: userId },
    details: { reason: 'Clerk deleted this person' },
  })
}
