import { createApiToken, listApiTokens, revokeApiToken } from '../identity/api-tokens.ts'
import { readOrganization } from '../identity/organizations.ts'
import { organizationOf, type Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'

type TokenHandlers = Pick<Handlers, 'tokens.list' | 'tokens.create' | 'tokens.revoke' | 'me'>

export function tokenHandlers(app: Pick<HttpApp, 'db' | 'clock' | 'newId'>): TokenHandlers {
  return {
    'tokens.list': async ({ query }, request) => {
      const page = { after: query.cursor ?? null, limit: query.limit + 1 }
      const rows = await listApiTokens(app.db, organizationOf(request), page)
      const items = rows.slice(0, query.limit)
      const more = rows.length > query.limit
      return { items, next_cursor: more ? (items.at(-1)?.id ?? null) : null }
    },
    'tokens.create': async ({ body }, request) => {
      const { record, token } = await createApiToken(app, {
        organizationId: organizationOf(request),
        name: body.name,
        expiresInDays: body.expires_in_days ?? null,
      })
      return { ...record, token }
    },
    'tokens.revoke': async ({ params }, request) => {
      await revokeApiToken(app, organizationOf(request), params.id)
    },
    me: async (_input, request) => {
      const { principal } = request
      const organization = await readOrganization(app.db, organizationOf(request))
      const token =
        principal?.kind === 'token' ? { id: principal.tokenId, name: principal.tokenName } : null
      return { kind: principal?.kind ?? 'operator', organization, token }
    },
  }
}
