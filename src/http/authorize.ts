import { PERMISSIONS, type Permission } from '../contract/permissions.ts'
import type { RouteId } from '../contract/routes.ts'
import type { Database } from '../database/database.ts'
import type { Authentication, OrganizationName } from '../identity/authenticate.ts'
import { allows } from '../identity/may.ts'
import type { Membership, Principal } from '../identity/principal.ts'
import { OperationError } from '../lib/errors.ts'
import type { RefusedAttempts } from './refused-attempts.ts'

/** What decides, besides who asks. */
export interface Asked {
  routeId: RouteId
  /** `{id}` of the address. */
  subjectId: string | null
  organization: OrganizationName | null
  address: string | null
  requestId: string
}

interface AuthorizeDeps {
  db: Database
  refused: RefusedAttempts
}

/**
 * Who may go on, by the table of permissions; null is nobody in particular on a public route. Throws
 * `http.unauthorized`, `http.forbidden`, `organization.none`, and for what is not there, another's or out of reach
 * the same `….not_found`. Refusals of somebody known are audited.
 */
export async function authorize(
  deps: AuthorizeDeps,
  authentication: Authentication,
  asked: Asked,
): Promise<Principal | null> {
  const permission = PERMISSIONS[asked.routeId]
  const principal = authentication.kind === 'nobody' ? null : authentication.principal
  if (permission.who === 'everyone') return principal
  if (authentication.kind === 'elsewhere') {
    if (principal !== null) await noteElsewhere(deps, principal, asked)
    throw organizationNotFound(asked.organization)
  }
  const verdict = allows(permission, principal)
  if (verdict === 'unauthenticated' || principal === null) throw unauthorized()
  if (verdict === 'forbidden') {
    await deps.refused.note({ ...asked, principal, needed: neededOf(permission) })
    throw forbidden(permission, principal)
  }
  await authorizeSubject(deps, permission, principal, asked)
  return principal
}

/** Projects and deployments of the organization, and for limited people those within reach. */
async function authorizeSubject(
  deps: AuthorizeDeps,
  { subject }: Permission,
  principal: Principal,
  asked: Asked,
): Promise<void> {
  const { membership } = principal
  const id = asked.subjectId
  if (id === null || membership === null) return
  if (subject !== 'project' && subject !== 'deployment') return
  const found = await findSubject(deps.db, subject, id)
  if (found !== undefined && (await isWithinReach(deps.db, membership, found))) return
  if (found !== undefined) {
    const isOwn = found.organization_id === membership.organizationId
    const needed = `${subject} within reach`
    const target = { kind: subject, id }
    await deps.refused.note({ ...asked, principal, needed, target, isElsewhere: !isOwn })
  }
  throw subject === 'project'
    ? new OperationError('project.not_found', `Cannot find project "${id}"`)
    : new OperationError('deployment.not_found', `Cannot find deployment "${id}"`)
}

interface Found {
  organization_id: string
  project_id: string
}

async function findSubject(
  db: Database,
  subject: 'project' | 'deployment',
  id: string,
): Promise<Found | undefined> {
  return subject === 'project'
    ? await db
        .selectFrom('projects')
        .select(['organization_id', 'id as project_id'])
        .where('id', '=', id)
        .executeTakeFirst()
    : await db
        .selectFrom('deployments')
        .select(['organization_id', 'project_id'])
        .where('id', '=', id)
        .executeTakeFirst()
}

async function isWithinReach(db: Database, membership: Membership, found: Found): Promise<boolean> {
  if (found.organization_id !== membership.organizationId) return false
  if (membership.reach.kind === 'all') return true
  const row = await db
    .selectFrom('project_members')
    .select('project_id')
    .where('organization_id', '=', membership.organizationId)
    .where('project_id', '=', found.project_id)
    .where('user_id', '=', membership.reach.userId)
    .executeTakeFirst()
  return row !== undefined
}

/** Only an organization that there is can have been out of bounds. */
async function noteElsewhere(
  deps: AuthorizeDeps,
  principal: Principal,
  asked: Asked,
): Promise<void> {
  const { organization } = asked
  if (organization === null) return
  const query = deps.db.selectFrom('organizations').select('id')
  const found = await (
    'id' in organization
      ? query.where('id', '=', organization.id)
      : query.where('slug', '=', organization.slug)
  ).executeTakeFirst()
  if (found === undefined) return
  const target = { kind: 'organization', id: found.id }
  const needed = 'membership'
  await deps.refused.note({ ...asked, principal, needed, target, isElsewhere: true })
}

/** The answer for an organization of others, and for one that there is not. */
export function organizationNotFound(organization: OrganizationName | null): OperationError {
  const name = organization === null ? 'default' : Object.values(organization).join('')
  return new OperationError('organization.not_found', `Cannot find organization "${name}"`)
}

function unauthorized(): OperationError {
  return new OperationError(
    'http.unauthorized',
    'Cannot tell who asks: sign in, or send "Authorization: Bearer nsk_…" with a valid API token',
  )
}

function neededOf({ who, scope }: Permission): string {
  return scope === null ? who : `${who}, ${scope}`
}

function forbidden({ who, scope }: Permission, principal: Principal): OperationError {
  if (who === 'operator') {
    return new OperationError(
      'http.forbidden',
      'Cannot do this over the network: run the command on the machine of NanoScale itself',
    )
  }
  if (who === 'person') {
    return new OperationError(
      'http.forbidden',
      'Cannot do this as a program: it is for people who signed in',
    )
  }
  if (principal.membership === null) {
    return new OperationError(
      'organization.none',
      'Cannot do this without an organization: ask an owner of one to invite you',
    )
  }
  const { role } = principal.membership
  const lacksRole = allows({ who, scope: null, subject: null }, principal) !== 'yes'
  return new OperationError(
    'http.forbidden',
    lacksRole
      ? `Cannot do this as ${role}: it needs the role ${who}`
      : `Cannot do this with this token: it lacks the scope ${scope ?? ''}`,
  )
}
