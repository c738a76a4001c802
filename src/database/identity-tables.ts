/** Rows of people, organizations, and how they sign in. Times marked by better-auth are `timestamptz` on PostgreSQL. */

export interface ApiTokenTable {
  id: string
  organization_id: string
  name: string
  /** sha256 of the token in hex: tokens are 256 random bits, so a plain hash is enough. */
  token_hash: string
  /** The last four characters, to tell tokens apart. */
  hint: string
  created_at: string
  expires_at: string | null
  last_used_at: string | null
  revoked_at: string | null
  /** Whose token it is: it may never do more than this person now may. Null: the operator's. */
  created_by_user_id: string | null
  /** Of `contract/permissions.ts`; `*` is all that its maker may. */
  scopes: string[]
  /** The token that made this one, and ends it with itself. */
  parent_token_id: string | null
}

/** People. better-auth's user table too: `created_at` and `updated_at` are `timestamptz` on PostgreSQL. */
export interface UserTable {
  id: string
  clerk_user_id: string | null
  /** Lower case. What signs in with a password; of a person that Clerk told of an address that no mail reaches. */
  email: string
  name: string
  first_name: string | null
  last_name: string | null
  email_verified: boolean
  image: string | null
  two_factor_enabled: boolean
  /** What Clerk says. Never used to find an account. */
  clerk_primary_email: string | null
  /** Cannot sign in any more; the row stays for what names it. */
  deleted_at: string | null
  created_at: string
  updated_at: string
}

export interface SessionTable {
  id: string
  user_id: string
  /** sha256 of the token in hex. */
  token: string
  expires_at: string
  ip_address: string | null
  user_agent: string | null
  created_at: string
  updated_at: string
}

/** A way in: `credential` with a password's hash, or an identity provider's (issuer, subject). */
export interface AccountTable {
  id: string
  user_id: string
  /** `credential`, or the issuer's URL. */
  provider_id: string
  /** The user's id, or the subject at the issuer. */
  account_id: string
  password: string | null
  access_token: string | null
  refresh_token: string | null
  id_token: string | null
  access_token_expires_at: string | null
  refresh_token_expires_at: string | null
  scope: string | null
  created_at: string
  updated_at: string
}

export interface VerificationTable {
  id: string
  identifier: string
  value: string
  expires_at: string
  created_at: string
  updated_at: string
}

export interface TwoFactorTable {
  id: string
  user_id: string
  secret: string
  backup_codes: string
  verified: boolean
  failed_verification_count: number
  locked_until: string | null
}

export interface UsedTotpCodeTable {
  user_id: string
  code_hash: string
  used_at: string
}

export interface SignInThrottleTable {
  key_hash: string
  failures: number
  blocked_until: string | null
  updated_at: string
}

/** Random keys of the instance itself, such as the one that signs cookies. `id` is their name. */
export interface InstanceSecretTable {
  id: string
  value_sealed: string
  created_at: string
}

/** A trip to another site that has not come back: single use, bound to the browser that began it. */
export interface OauthStateTable {
  id: string
  state_hash: string
  purpose: string
  binding_hash: string
  user_id: string | null
  /** JSON with the PKCE verifier, the nonce and where to go afterwards. */
  request_sealed: string
  created_at: string
  expires_at: string
  used_at: string | null
}

export interface OrganizationMetadataTable {
  organization_id: string
  company_size: string | null
  team_size: string | null
  use_cases: string[]
  observability_stack: string[]
  completed_at: string | null
  created_at: string
  updated_at: string
}

export type Role = 'owner' | 'admin' | 'member' | 'viewer'
/** `selected`: only the projects that `project_members` names. Counts for members and viewers. */
export type ProjectAccess = 'all' | 'selected'

export interface OrganizationMemberTable {
  id: string
  organization_id: string
  user_id: string
  role: Role
  project_access: ProjectAccess
  clerk_membership_id: string | null
  joined_at: string
  updated_at: string
}

export interface ProjectMemberTable {
  organization_id: string
  project_id: string
  user_id: string
  created_at: string
}

export interface InvitationTable {
  id: string
  organization_id: string
  email: string
  role: Role
  project_access: ProjectAccess
  project_ids: string[]
  token_hash: string
  invited_by_user_id: string | null
  created_at: string
  expires_at: string
  accepted_at: string | null
  accepted_by_user_id: string | null
  revoked_at: string | null
}

/** Messages that were handled: one that comes again changes nothing. */
export interface ClerkMessageTable {
  id: string
  event_type: string
  received_at: string
}

/** The newest word of Clerk about one of its things; a deleted one stays as a tombstone. */
export interface ClerkRecordTable {
  clerk_id: string
  kind: 'user' | 'organization' | 'membership'
  /** The envelope's timestamp in milliseconds; equal ones are ordered by `message_id`. */
  event_at: number
  message_id: string
  deleted: boolean
  /** Of a membership. */
  clerk_user_id: string | null
  clerk_org_id: string | null
  facts: Record<string, unknown>
  updated_at: string
}
