import { z } from 'zod'

import type { ClerkEvent, ClerkOrganizationFacts, ClerkUserFacts } from './clerk-event.ts'

export type ParsedClerkEvent =
  | { kind: 'event'; event: ClerkEvent }
  /** Of a type that is none of our business. */
  | { kind: 'ignored'; reason: string }
  | { kind: 'malformed'; problem: string }

const MAX_NAME = 200
const MAX_EMAIL = 320
/** The last moment that a date can hold. */
const MAX_TIME = 8_640_000_000_000_000

const idOf = (prefix: string) => z.string().regex(new RegExp(`^${prefix}_[A-Za-z0-9]{1,64}$`))
const userId = idOf('user')
const organizationId = idOf('org')
const membershipId = idOf('orgmem')
const moment = z.int().positive().max(MAX_TIME)

const envelope = z.looseObject({
  object: z.literal('event'),
  type: z.string().min(1).max(100),
  timestamp: moment,
  data: z.looseObject({}),
})

const user = z.looseObject({
  id: userId,
  first_name: z.string().nullish(),
  last_name: z.string().nullish(),
  username: z.string().nullish(),
  banned: z.boolean().nullish(),
  primary_email_address_id: z.string().nullish(),
  email_addresses: z.array(z.looseObject({ id: z.string(), email_address: z.string() })).nullish(),
})

const organization = z.looseObject({
  id: organizationId,
  name: z.string(),
  slug: z.string().nullish(),
  created_by: z.string().nullish(),
})

const membership = z.looseObject({
  id: membershipId,
  role: z.string().min(1).max(200),
  organization: z.looseObject({ id: organizationId }),
  public_user_data: z.looseObject({ user_id: userId }),
  created_at: z.number().nullish(),
})

const deletedUser = z.looseObject({ id: userId })
const deletedOrganization = z.looseObject({ id: organizationId })
const deletedMembership = z.looseObject({
  id: membershipId,
  organization: z.looseObject({ id: organizationId }).nullish(),
  public_user_data: z.looseObject({ user_id: userId }).nullish(),
})

const KINDS: ReadonlyMap<string, ClerkEvent['kind']> = new Map([
  ['user', 'user'],
  ['organization', 'organization'],
  ['organizationMembership', 'membership'],
])

/** Reads the body of a message whose signature was checked. Further fields are Clerk's to add; ids are strict. */
export function parseClerkEvent(rawBody: Uint8Array): ParsedClerkEvent {
  const json = parseJson(rawBody)
  if (json === undefined) return { kind: 'malformed', problem: 'it is not JSON' }
  const parsed = envelope.safeParse(json)
  if (!parsed.success) return malformed(parsed.error)
  const { type } = parsed.data
  const [subject = '', verb = '', ...rest] = type.split('.')
  const kind = KINDS.get(subject)
  if (kind === undefined || rest.length > 0 || !/^(?:created|updated|deleted)$/.test(verb)) {
    return { kind: 'ignored', reason: `"${clean(type, 100)}" is of no concern here` }
  }
  try {
    return { kind: 'event', event: eventOf(kind, verb === 'deleted', parsed.data) }
  } catch (error) {
    if (error instanceof z.ZodError) return malformed(error)
    throw error
  }
}

function parseJson(rawBody: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(rawBody)) as unknown
  } catch {
    return undefined
  }
}

/** Names the field and never its value: the log is no place for what Clerk knows about people. */
function malformed(error: z.ZodError): ParsedClerkEvent {
  const [issue] = error.issues
  const field = issue === undefined || issue.path.length === 0 ? 'body' : issue.path.join('.')
  return { kind: 'malformed', problem: `${field}: ${issue?.message ?? 'invalid'}` }
}

type Envelope = z.output<typeof envelope>

function eventOf(kind: ClerkEvent['kind'], deleted: boolean, given: Envelope): ClerkEvent {
  const base = { type: given.type, at: given.timestamp, clerkUserId: null, clerkOrgId: null }
  if (kind === 'membership') return membershipEvent(deleted, given)
  if (kind === 'user') {
    if (deleted) return { ...base, kind, clerkId: deletedUser.parse(given.data).id, facts: null }
    const data = user.parse(given.data)
    return { ...base, kind, clerkId: data.id, facts: userFacts(data) }
  }
  if (deleted) {
    return { ...base, kind, clerkId: deletedOrganization.parse(given.data).id, facts: null }
  }
  const data = organization.parse(given.data)
  return { ...base, kind, clerkId: data.id, facts: organizationFacts(data) }
}

function membershipEvent(deleted: boolean, given: Envelope): ClerkEvent {
  const base = { kind: 'membership', type: given.type, at: given.timestamp } as const
  if (deleted) {
    const data = deletedMembership.parse(given.data)
    const clerkUserId = data.public_user_data?.user_id ?? null
    const clerkOrgId = data.organization?.id ?? null
    return { ...base, clerkId: data.id, clerkUserId, clerkOrgId, facts: null }
  }
  const data = membership.parse(given.data)
  const created = moment.safeParse(data.created_at)
  return {
    ...base,
    clerkId: data.id,
    clerkUserId: data.public_user_data.user_id,
    clerkOrgId: data.organization.id,
    facts: { role: data.role, joinedAt: created.success ? created.data : given.timestamp },
  }
}

function userFacts(data: z.output<typeof user>): ClerkUserFacts {
  const firstName = nameOf(data.first_name)
  const lastName = nameOf(data.last_name)
  // The order of the addresses means nothing.
  const primary = (data.email_addresses ?? []).find(
    ({ id }) => id === data.primary_email_address_id,
  )
  const primaryEmail =
    primary === undefined ? null : clean(primary.email_address, MAX_EMAIL).toLowerCase()
  const fullName = [firstName, lastName].filter((part) => part !== null).join(' ')
  const name = fullName !== '' ? fullName : (nameOf(data.username) ?? primaryEmail ?? 'Unnamed')
  return { name, firstName, lastName, primaryEmail, banned: data.banned === true }
}

function organizationFacts(data: z.output<typeof organization>): ClerkOrganizationFacts {
  const createdBy = userId.safeParse(data.created_by)
  return {
    name: nameOf(data.name) ?? 'Unnamed',
    slug: nameOf(data.slug),
    createdBy: createdBy.success ? createdBy.data : null,
  }
}

function nameOf(text: string | null | undefined): string | null {
  const cleaned = clean(text ?? '', MAX_NAME)
  return cleaned === '' ? null : cleaned
}

/** Without what a database or a terminal would choke on: control characters and halves of characters. */
function clean(text: string, length: number): string {
  return text
    .replaceAll(/\p{Cc}/gu, '')
    .trim()
    .slice(0, length)
    .toWellFormed()
}
