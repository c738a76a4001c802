import type { Role } from '../database/schema.ts'
import {
  closeOrganization,
  renameOrganization,
  reopenOrganization,
} from '../identity/change-organization.ts'
import {
  readOrganizationMetadata,
  replaceOrganizationMetadata,
} from '../identity/organization-metadata.ts'
import {
  createOrganization,
  listOrganizations,
  listOrganizationsOf,
  readOrganization,
  type Organization,
} from '../identity/organizations.ts'
import { refuseFurtherPeople } from './further-people.ts'
import { askingPersonOf, organizationOf, type Handlers, type RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { pageOfRows } from './page-of-rows.ts'

type OrganizationHandlers = Pick<
  Handlers,
  | 'organizations.list'
  | 'organizations.create'
  | 'organizations.read'
  | 'organizations.update'
  | 'organizations.close'
  | 'organizations.reopen'
  | 'metadata.read'
  | 'metadata.update'
>

type Deps = Pick<HttpApp, 'db' | 'clock' | 'newId' | 'config' | 'instance'>

export function organizationHandlers(app: Deps): OrganizationHandlers {
  return { ...recordHandlers(app), ...metadataHandlers(app) }
}

function recordHandlers(app: Deps) {
  return {
    'organizations.list': async ({ query }, request) => {
      const page = { after: query.cursor ?? null, limit: query.limit + 1 }
      const rows = await visibleOrganizations(app, request, page)
      const { rows: shown, next_cursor } = pageOfRows(rows, query.limit)
      return { items: shown.map(({ role, ...row }) => ({ ...view(row), role })), next_cursor }
    },
    'organizations.create': async ({ body }, request) => {
      await refuseFurtherPeople(app)
      const ownerUserId = askingPersonOf(request)
      const input = { ...body, ownerUserId, by: request.actor }
      return view(await createOrganization(app, input))
    },
    'organizations.read': async (_input, request) =>
      view(await readOrganization(app.db, organizationOf(request))),
    'organizations.update': async ({ body }, request) => {
      const input = { name: body.name, by: request.actor }
      return view(await renameOrganization(app, organizationOf(request), input))
    },
    'organizations.close': async (_input, request) => {
      await closeOrganization(app, organizationOf(request), request.actor)
    },
    'organizations.reopen': async (_input, request) =>
      view(await reopenOrganization(app, organizationOf(request), request.actor)),
  } satisfies Partial<OrganizationHandlers>
}

function metadataHandlers(app: Deps) {
  return {
    'metadata.read': (_input, request) => readOrganizationMetadata(app.db, organizationOf(request)),
    'metadata.update': ({ body }, request) =>
      replaceOrganizationMetadata(app, organizationOf(request), { ...body, by: request.actor }),
  } satisfies Partial<OrganizationHandlers>
}

/** A person's own, a token's one, the operator's all. */
async function visibleOrganizations(
  app: Deps,
  request: RequestFacts,
  page: { after: string | null; limit: number },
): Promise<(Organization & { role: Role | null })[]> {
  const { principal } = request
  if (principal?.kind === 'user') return await listOrganizationsOf(app.db, principal.userId, page)
  if (principal?.kind === 'token') {
    const { organizationId, role } = principal.membership
    if (page.after !== null) return []
    return [{ ...(await readOrganization(app.db, organizationId)), role }]
  }
  const rows = await listOrganizations(app.db, page)
  return rows.map((row) => ({ ...row, role: null }))
}

function view({ clerk_org_id, ...organization }: Organization) {
  return { ...organization, from_clerk: clerk_org_id !== null }
}
