import type { Database } from '../database/database.ts'
import type { Clock } from '../lib/clock.ts'
import { authenticateToken } from './api-tokens.ts'
import { DEFAULT_ORGANIZATION_SLUG, findOrganizationBySlug } from './organizations.ts'
import type { Principal } from './principal.ts'

/**
 * Who asks. Over the operator's Unix socket, which only this machine's operator can open: the operator, in the
 * organization named by slug. Over TCP: the bearer of an API token. Null when nobody that we know.
 */
export async function authenticate(
  deps: { db: Database; clock: Clock },
  request: {
    channel: 'operator' | 'network'
    authorization: string | undefined
    organizationSlug: string | undefined
  },
): Promise<Principal | null> {
  if (request.channel === 'operator') {
    const slug = request.organizationSlug ?? DEFAULT_ORGANIZATION_SLUG
    const organization = await findOrganizationBySlug(deps.db, slug)
    if (organization === undefined) return null
    const reach = { kind: 'all' } as const
    const membership = { organizationId: organization.id, role: 'owner', reach } as const
    return { kind: 'operator', membership }
  }
  const token = /^Bearer ([^\s]+)$/i.exec(request.authorization ?? '')?.[1]
  return token === undefined ? null : await authenticateToken(deps, token)
}
