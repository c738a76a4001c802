import { z } from 'zod'

import { line, newPassword, personName } from './auth.ts'
import { pageQuery, time } from './common.ts'
import { ROLES } from './permissions.ts'

export const role = z.enum(ROLES)

const projectAccess = z.enum(['all', 'selected']).meta({
  description: 'selected: only the projects of project_ids. Owners and admins reach all of them',
})
const projectIds = z.array(z.string().min(1).max(100)).max(200)
const organizationName = line.min(1).max(100)
const slug = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/, {
  error: 'use up to 40 of a-z, 0-9 and -',
})

/** Folded to lower case where it is stored and compared. */
const email = z.email().max(254)

export const organization = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  created_at: time,
  closed_at: time.nullable().meta({ description: 'Since then its people have no access' }),
  from_clerk: z.boolean().meta({ description: 'Clerk decides about its members' }),
})

/** With what the asker is there; null for the operator. */
export const listedOrganization = z.object({ ...organization.shape, role: role.nullable() })

export const createOrganizationBody = z.strictObject({
  name: organizationName,
  slug: slug.optional().meta({ description: 'Made of the name unless given; it never changes' }),
})

export const updateOrganizationBody = z.strictObject({ name: organizationName })

export const COMPANY_SIZES = ['startup', 'small', 'medium', 'large', 'enterprise'] as const
export const TEAM_SIZES = ['1-5', '6-20', '21-50', '51-100', '100+'] as const
export const USE_CASES = [
  'infrastructure_monitoring',
  'application_performance_monitoring',
  'log_management',
  'incident_response',
  'compliance_auditing',
  'cost_optimization',
  'security_monitoring',
  'devops_automation',
] as const
export const OBSERVABILITY_STACKS = [
  'datadog',
  'new_relic',
  'splunk',
  'elastic_stack',
  'prometheus_grafana',
  'app_dynamics',
  'dynatrace',
  'cloudwatch',
  'azure_monitor',
  'google_cloud_monitoring',
  'pagerduty',
  'opsgenie',
  'other',
] as const

const metadataFacts = {
  company_size: z.enum(COMPANY_SIZES).nullable(),
  team_size: z.enum(TEAM_SIZES).nullable(),
  use_cases: z.array(z.enum(USE_CASES)).max(USE_CASES.length),
  observability_stack: z.array(z.enum(OBSERVABILITY_STACKS)).max(OBSERVABILITY_STACKS.length),
}

/** All of it may be skipped: what is left out is unknown. */
export const metadataBody = z.strictObject({
  company_size: metadataFacts.company_size.default(null),
  team_size: metadataFacts.team_size.default(null),
  use_cases: metadataFacts.use_cases.default([]),
  observability_stack: metadataFacts.observability_stack.default([]),
  completed: z
    .boolean()
    .default(false)
    .meta({ description: 'True: do not ask again. It stays completed' }),
})

export const metadata = z.object({
  company_size: z.string().nullable(),
  team_size: z.string().nullable(),
  use_cases: z.array(z.string()),
  observability_stack: z.array(z.string()),
  completed_at: time.nullable(),
})

export const member = z.object({
  user_id: z.string(),
  name: z.string(),
  email: z.string().nullable(),
  role,
  project_access: projectAccess,
  project_ids: z.array(z.string()),
  joined_at: time,
  from_clerk: z.boolean().meta({ description: 'Clerk decides about this membership' }),
})

export const membersQuery = z.object({
  ...pageQuery.shape,
  email: z.string().max(254).optional().meta({ description: 'Only the member with this address' }),
})

export const memberParams = z.object({
  id: z.string().min(1).max(100),
  user_id: z.string().min(1).max(100),
})

export const updateMemberBody = z.strictObject({
  role: role.optional(),
  project_access: projectAccess.optional(),
  project_ids: projectIds.optional(),
})

export const resetLink = z.object({
  url: z.string().meta({ description: 'To be passed on to this person alone; it works once' }),
  expires_at: time,
  mail_works: z
    .boolean()
    .meta({ description: 'With a mail server people can ask for such a link themselves' }),
})

export const invitation = z.object({
  id: z.string(),
  email: z.string(),
  role,
  project_access: projectAccess,
  project_ids: z.array(z.string()),
  invited_by: z.string().nullable().meta({ description: 'A name; null is the operator' }),
  created_at: time,
  expires_at: time,
})

export const createInvitationBody = z.strictObject({
  email,
  role,
  project_access: projectAccess.default('all'),
  project_ids: projectIds.default([]),
})

export const createdInvitation = z.object({
  ...invitation.shape,
  sent: z.boolean().meta({ description: 'The mail server took the invitation' }),
  url: z
    .string()
    .nullable()
    .meta({ description: 'To be passed on to this person alone; null when it was mailed' }),
})

export const invitationParams = z.object({
  id: z.string().min(1).max(100),
  invitation_id: z.string().min(1).max(100),
})

const invitationToken = z.string().min(1).max(200)

export const readInvitationBody = z.strictObject({ token: invitationToken })

export const openInvitation = z.object({
  organization: z.string().meta({ description: 'Its name' }),
  role,
  email: z.string(),
  account_exists: z
    .boolean()
    .meta({ description: 'True: sign in as this address first. False: choose name and password' }),
  expires_at: time,
})

export const acceptInvitationBody = z.strictObject({
  token: invitationToken,
  name: personName.optional(),
  password: newPassword.optional(),
})

export const acceptedInvitation = z.object({
  organization: z.object({ id: z.string(), slug: z.string(), name: z.string() }),
  role,
})
