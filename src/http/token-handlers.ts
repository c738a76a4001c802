import {
  createApiToken,
  listApiTokens,
  revokeApiToken,
  type ApiToken,
  type TokenMaker,
  type TokenOwners,
} from '../identity/api-tokens.ts'
import {
  askingPersonOf,
  membershipOf,
  organizationOf,
  type Handlers,
  type RequestFacts,
} from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { pageOfRows } from './page-of-rows.ts'

type TokenHandlers = Pick<Handlers, 'tokens.list' | 'tokens.create' | 'tokens.revoke'>

export function tokenHandlers(app: Pick<HttpApp, 'db' | 'clock' | 'newId'>): TokenHandlers {
  return {
    'tokens.list': async ({ query }, request) => {
      const of = query.mine === 'true' ? ownTokens(request) : manageableTokens(request)
      const page = { after: query.cursor ?? null, limit: query.limit + 1, of }
      const rows = await listApiTokens(app.db, organizationOf(request), page)
      const { rows: shown, next_cursor } = pageOfRows(rows, query.limit)
      return { items: shown.map(view), next_cursor }
    },
    'tokens.create': async ({ body }, request) => {
      const { record, token } = await createApiToken(app, organizationOf(request), {
        name: body.name,
        expiresInDays: body.expires_in_days,
        scopes: body.scopes,
        maker: makerOf(request),
      })
      return { ...view({ ...record, maker_name: await makerName(app, record) }), token }
    },
    'tokens.revoke': async ({ params }, request) => {
      const asker = { of: manageableTokens(request), by: request.actor }
      await revokeApiToken(app, organizationOf(request), params.id, asker)
    },
  }
}

function ownTokens(request: RequestFacts): TokenOwners {
  return { userId: askingPersonOf(request) }
}

/** Those of others are the owners' business; nobody else is told that they exist. */
function manageableTokens(request: RequestFacts): TokenOwners {
  return membershipOf(request).role === 'owner' ? 'all' : ownTokens(request)
}

function makerOf(request: RequestFacts): TokenMaker {
  const { principal, actor } = request
  const token = principal?.kind === 'token' ? { id: principal.tokenId } : null
  return { userId: askingPersonOf(request), token, by: actor }
}

async function makerName(
  app: Pick<HttpApp, 'db'>,
  { created_by_user_id }: ApiToken,
): Promise<string | null> {
  if (created_by_user_id === null) return null
  const row = await app.db
    .selectFrom('users')
    .select('name')
    .where('id', '=', created_by_user_id)
    .executeTakeFirst()
  return row?.name ?? null
}

function view(row: ApiToken & { maker_name: string | null }) {
  const { created_by_user_id, maker_name, ...token } = row
  const created_by =
    created_by_user_id === null ? null : { id: created_by_user_id, name: maker_name ?? '' }
  return { ...token, created_by }
}
