/** A Clerk that lives for a while: what it sends, and what it would say at the end. Made from a seed. */

export interface HistoryMessage {
  id: string
  at: number
  body: Record<string, unknown>
}

interface ModelUser {
  name: string
  firstName: string | null
  lastName: string | null
  email: string | null
  gone: boolean
  deletedAt: number | null
}

interface ModelOrganization {
  name: string
  slug: string
  createdBy: string | null
  closedAt: number | null
}

interface ModelMembership {
  user: string
  organization: string
  role: string
  joinedAt: number
  alive: boolean
  /** Place of its newest event. */
  order: number
}

/** What is expected of the database, as `readClerkState()` reads it. */
export interface ClerkState {
  users: Record<string, unknown>[]
  organizations: Record<string, unknown>[]
  members: Record<string, unknown>[]
}

export interface ClerkHistory {
  /** In the order in which it happened; neighbours may have the same time. */
  messages: HistoryMessage[]
  /** Afterwards. */
  state: ClerkState
}

const ROLES = ['org:admin', 'org:member', 'org:billing'] as const
const OURS: Readonly<Record<string, string>> = { 'org:admin': 'admin', 'org:member': 'member' }
/** Clerk never says anything about this one itself: only memberships name it. */
const GHOST = 'user_Ghost'

/** The same numbers for the same seed (mulberry32), from 0 to below 1. */
export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What Clerk knows, and what it has sent. */
interface World {
  random: () => number
  at: number
  users: Map<string, ModelUser>
  organizations: Map<string, ModelOrganization>
  memberships: Map<string, ModelMembership>
  messages: HistoryMessage[]
}

export function createClerkHistory(seed: number, length: number): ClerkHistory {
  const world: World = {
    random: createRandom(seed),
    at: Date.UTC(2026, 0, 1),
    users: new Map(),
    organizations: new Map(),
    memberships: new Map(),
    messages: [],
  }
  // Ids that differ only in case are different people.
  const userIds = ['user_aB', 'user_Ab', ...Array.from({ length: 18 }, (_, n) => `user_U${n}`)]
  const orgIds = Array.from({ length: 8 }, (_, n) => `org_O${n}`)
  while (world.messages.length < length) {
    world.at += Math.floor(world.random() * 3)
    const kind = world.random()
    if (kind < 0.25) tellUser(world, pick(world, userIds))
    else if (kind < 0.4) tellOrganization(world, pick(world, orgIds))
    else tellMembership(world, pick(world, [...userIds, GHOST]), pick(world, orgIds))
  }
  return { messages: world.messages, state: stateOf(world) }
}

function pick<Value>({ random }: World, values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)] as Value
}

function send({ messages, at }: World, type: string, data: Record<string, unknown>): void {
  const id = `msg_${String(messages.length).padStart(6, '0')}`
  messages.push({ id, at, body: { object: 'event', type, timestamp: at, data } })
}

function tellUser(world: World, id: string): void {
  const { users, messages, at } = world
  const known = users.get(id)
  if (known !== undefined && !known.gone && world.random() < 0.3) {
    const lost = { name: 'Deleted person', firstName: null, lastName: null, email: null }
    users.set(id, { ...lost, gone: true, deletedAt: at })
    send(world, 'user.deleted', { id, object: 'user', deleted: true })
    return
  }
  const firstName = pick(world, ['Ada', 'Bo', null])
  const lastName = pick(world, ['Lovelace', 'Ek', null])
  const email = pick(world, [`${id.toLowerCase()}-${messages.length}@example.com`, null])
  const banned = world.random() < 0.1
  const fullName = [firstName, lastName].filter((part) => part !== null).join(' ')
  const name = fullName === '' ? (email ?? 'Unnamed') : fullName
  const deletedAt = banned ? at : null
  users.set(id, { name, firstName, lastName, email, gone: false, deletedAt })
  send(world, known === undefined ? 'user.created' : 'user.updated', {
    id,
    object: 'user',
    first_name: firstName,
    last_name: lastName,
    banned,
    primary_email_address_id: email === null ? null : 'idn_primary',
    email_addresses: [
      { id: 'idn_other', email_address: 'other@example.com' },
      ...(email === null ? [] : [{ id: 'idn_primary', email_address: email }]),
    ],
  })
}

function tellOrganization(world: World, id: string): void {
  const { organizations, messages, at } = world
  const known = organizations.get(id)
  if (known !== undefined && known.closedAt === null && world.random() < 0.3) {
    organizations.set(id, { ...known, closedAt: at })
    send(world, 'organization.deleted', { id, object: 'organization', deleted: true })
    return
  }
  const name = `Name ${messages.length}`
  // Two organizations want the same slug.
  const slug = id === 'org_O1' ? 'o0' : id.slice('org_'.length).toLowerCase()
  const createdBy = id === 'org_O2' ? null : `user_U${id.slice('org_O'.length)}`
  organizations.set(id, { name, slug, createdBy, closedAt: null })
  send(world, known === undefined ? 'organization.created' : 'organization.updated', {
    id,
    object: 'organization',
    name,
    slug,
    created_by: createdBy,
  })
}

function tellMembership(world: World, user: string, organization: string): void {
  const { memberships, messages, at, random } = world
  const old = [...memberships].findLast(
    ([, known]) => known.user === user && known.organization === organization && known.alive,
  )
  // Sometimes somebody joins anew although nobody said that they had left.
  const anew = old === undefined || random() < 0.1
  const id = anew ? `orgmem_${user.slice(5)}x${organization.slice(4)}x${messages.length}` : old[0]
  const leaves = !anew && random() < 0.4
  const role = pick(world, ROLES)
  const joinedAt = anew ? at : old[1].joinedAt
  memberships.set(id, {
    user,
    organization,
    role,
    joinedAt,
    alive: !leaves,
    order: messages.length,
  })
  const verb = leaves ? 'deleted' : anew ? 'created' : 'updated'
  send(world, `organizationMembership.${verb}`, {
    id,
    object: 'organization_membership',
    role,
    organization: { id: organization, name: 'as it was then' },
    public_user_data: { user_id: user },
    created_at: joinedAt,
  })
}

function stateOf({ users, organizations, memberships }: World): ClerkState {
  const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString())
  const all = [...memberships.values()]
  const createdBy = [...organizations.values()].map((organization) => organization.createdBy)
  const userIds = new Set([...users.keys(), ...all.map(({ user }) => user), ...createdBy])
  const orgIds = new Set([...organizations.keys(), ...all.map(({ organization }) => organization)])
  return {
    users: [...userIds]
      .filter((id) => id !== null)
      .sort()
      .map((id) => {
        const user = users.get(id)
        return {
          clerk_user_id: id,
          name: user?.name ?? 'Pending',
          first_name: user?.firstName ?? null,
          last_name: user?.lastName ?? null,
          clerk_primary_email: user?.email ?? null,
          deleted_at: iso(user?.deletedAt ?? null),
        }
      }),
    organizations: [...orgIds].sort().map((id) => {
      const organization = organizations.get(id)
      return {
        clerk_org_id: id,
        name: organization?.name ?? 'Pending',
        slug: organization?.slug ?? 'pending',
        closed_at: iso(organization?.closedAt ?? null),
        created_by: organization?.createdBy ?? null,
      }
    }),
    members: membersOf({ users, organizations, memberships }),
  }
}

type Known = Pick<World, 'users' | 'organizations' | 'memberships'>

function membersOf({ users, organizations, memberships }: Known): ClerkState['members'] {
  const newest = new Map<string, [string, ModelMembership]>()
  for (const [id, membership] of [...memberships].sort(([, a], [, b]) => a.order - b.order)) {
    const { user, organization, alive } = membership
    if (!alive || users.get(user)?.gone === true) continue
    if ((organizations.get(organization)?.closedAt ?? null) !== null) continue
    newest.set(`${user} ${organization}`, [id, membership])
  }
  return [...newest]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, [id, { user, organization, role, joinedAt }]]) => {
      const made = organizations.get(organization)?.createdBy === user
      const ours = OURS[role] ?? 'viewer'
      return {
        clerk_user_id: user,
        clerk_org_id: organization,
        role: made && ours === 'admin' ? 'owner' : ours,
        clerk_membership_id: id,
        joined_at: new Date(joinedAt).toISOString(),
      }
    })
}
