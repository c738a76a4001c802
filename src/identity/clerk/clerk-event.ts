/** What Clerk says about a person. */
export type ClerkUserFacts = {
  name: string
  firstName: string | null
  lastName: string | null
  primaryEmail: string | null
  /** Clerk lets this person in nowhere. */
  banned: boolean
}

export type ClerkOrganizationFacts = {
  name: string
  slug: string | null
  /** Clerk's id of the person who made it. */
  createdBy: string | null
}

export type ClerkMembershipFacts = {
  /** Clerk's name of it, such as `org:admin`. */
  role: string
  /** Milliseconds since the epoch. */
  joinedAt: number
}

export interface ClerkFacts {
  user: ClerkUserFacts
  organization: ClerkOrganizationFacts
  membership: ClerkMembershipFacts
}

export type ClerkKind = keyof ClerkFacts

interface EventOf<Kind extends ClerkKind> {
  kind: Kind
  /** Clerk's own name of it, such as `user.created`. */
  type: string
  /** Clerk's id of the thing. Ids are case-sensitive. */
  clerkId: string
  /** When Clerk says that it happened: the envelope's timestamp, in milliseconds since the epoch. */
  at: number
  /** Of a membership, as far as Clerk says. */
  clerkUserId: string | null
  clerkOrgId: string | null
  /** Null: it was deleted. */
  facts: ClerkFacts[Kind] | null
}

/** Created and updated are the same to us: Clerk always tells the whole thing, and any of them may come first. */
export type ClerkEvent = EventOf<'user'> | EventOf<'organization'> | EventOf<'membership'>
