import type { z } from 'zod'

import type { listedOrganization, member as memberSchema } from '../contract/organizations.ts'
import { CliError } from './cli-error.ts'
import { readPages, type Session } from './session.ts'

export type OrganizationOutput = z.infer<typeof listedOrganization>
export type MemberOutput = z.infer<typeof memberSchema>

const MAX_ORGANIZATIONS = 1000

/** All organizations that the asker sees. */
export function readOrganizations(session: Session): Promise<OrganizationOutput[]> {
  return readPages(
    (cursor) => session.client.call('organizations.list', { query: { cursor, limit: 200 } }),
    MAX_ORGANIZATIONS,
  )
}

/** Finds an organization by its slug or id. */
export async function findOrganization(
  session: Session,
  slugOrId: string,
): Promise<OrganizationOutput> {
  const organizations = await readOrganizations(session)
  const found = organizations.find(({ slug, id }) => slug === slugOrId || id === slugOrId)
  if (found !== undefined) return found
  const fix = 'See their slugs with "nanoscale orgs list"'
  throw new CliError(1, `Cannot find organization "${slugOrId}"`, fix)
}

/** The id of the organization that commands act in: that of `--org`, of the token, or the first one. */
export async function currentOrganization(session: Session): Promise<string> {
  const { organization } = await session.client.call('me', {})
  if (organization !== null) return organization.id
  throw new CliError(1, 'Cannot do this without an organization')
}

/** Finds a member of the current organization by address or user id. */
export async function findMember(
  session: Session,
  emailOrId: string,
): Promise<{ organizationId: string; member: MemberOutput }> {
  const id = await currentOrganization(session)
  const members = await readPages(
    (cursor) =>
      session.client.call('members.list', {
        params: { id },
        query: { cursor, limit: 200, ...(emailOrId.includes('@') ? { email: emailOrId } : {}) },
      }),
    1000,
  )
  const isMeant = (member: MemberOutput) => emailOrId.includes('@') || member.user_id === emailOrId
  const [member, another] = members.filter(isMeant)
  if (member === undefined) {
    const fix = 'See their addresses with "nanoscale members list"'
    throw new CliError(1, `Cannot find member "${emailOrId}"`, fix)
  }
  if (another === undefined) return { organizationId: id, member }
  const fix = 'Use the id that "nanoscale members list" shows'
  throw new CliError(2, `Several members have the address "${emailOrId}"`, fix)
}
