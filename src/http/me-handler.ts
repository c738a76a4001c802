import { PERMISSIONS } from '../contract/permissions.ts'
import type { RouteId } from '../contract/routes.ts'
import { allows } from '../identity/may.ts'
import { addressOf } from '../identity/members.ts'
import {
  listOrganizations,
  listOrganizationsOf,
  readOrganization,
} from '../identity/organizations.ts'
import type { Principal } from '../identity/principal.ts'
import { askingPersonOf, type Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'

type Deps = Pick<HttpApp, 'db'>

/** More are found by `organizations.list`. */
const MAX_LISTED = 200

export function meHandler(app: Deps): Pick<Handlers, 'me'> {
  return {
    me: async (_input, request) => {
      const { principal } = request
      if (principal === null) throw new Error('A route of known people was called without one')
      const { membership } = principal
      return {
        kind: principal.kind,
        user: await readUser(app, askingPersonOf(request)),
        organization: membership === null ? null : await named(app, membership.organizationId),
        role: membership?.role ?? null,
        scopes: principal.kind === 'token' ? [...principal.scopes] : null,
        permissions: permissionsOf(principal),
        organizations: await organizationsOf(app, principal),
        token:
          principal.kind === 'token' ? { id: principal.tokenId, name: principal.tokenName } : null,
      }
    },
  }
}

function permissionsOf(principal: Principal): RouteId[] {
  const ids = Object.keys(PERMISSIONS) as RouteId[]
  return ids.filter((id) => allows(PERMISSIONS[id], principal) === 'yes')
}

async function readUser(app: Deps, id: string | null) {
  if (id === null) return null
  const { clerk_primary_email, email, ...user } = await app.db
    .selectFrom('users')
    .select(['id', 'name', 'email', 'clerk_primary_email', 'two_factor_enabled'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return { ...user, email: addressOf({ email, clerk_primary_email }) }
}

async function named(app: Deps, organizationId: string) {
  const { id, slug, name } = await readOrganization(app.db, organizationId)
  return { id, slug, name }
}

async function organizationsOf(app: Deps, principal: Principal) {
  if (principal.kind === 'token') {
    const { organizationId, role } = principal.membership
    return [{ ...(await named(app, organizationId)), role }]
  }
  const page = { after: null, limit: MAX_LISTED }
  if (principal.kind === 'user') {
    const rows = await listOrganizationsOf(app.db, principal.userId, page)
    return rows.map(({ id, slug, name, role }) => ({ id, slug, name, role }))
  }
  const rows = await listOrganizations(app.db, page)
  return rows.map(({ id, slug, name }) => ({ id, slug, name, role: 'owner' as const }))
}
