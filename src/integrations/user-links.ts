import type { Database, Tx } from '../database/database.ts'
import type { GithubUserLinkTable } from '../database/integration-tables.ts'
import type { UserTokens } from '../githosts/github-host.ts'
import { toIsoTime } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'
import type { IntegrationDeps } from './integration-deps.ts'

export type UserLink = GithubUserLinkTable

/** A person's account at GitHub as linked through one App. */
export async function readUserLink(
  db: Database | Tx,
  integrationId: string,
  userId: string,
): Promise<UserLink | undefined> {
  return await db
    .selectFrom('github_user_links')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('local_user_id', '=', userId)
    .executeTakeFirst()
}

/** By GitHub's id of the person: a login may be renamed and then be somebody else's. */
export async function findLinkByGithubUser(
  db: Database | Tx,
  integrationId: string,
  githubUserId: number,
): Promise<UserLink | undefined> {
  return await db
    .selectFrom('github_user_links')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('github_user_id', '=', githubUserId)
    .executeTakeFirst()
}

/** All of a person's links, the oldest first. */
export async function listUserLinks(db: Database | Tx, userId: string): Promise<UserLink[]> {
  return await db
    .selectFrom('github_user_links')
    .selectAll()
    .where('local_user_id', '=', userId)
    .orderBy('id')
    .execute()
}

/** True when GitHub's tokens of this link are of no use any more: the person must connect again. */
export function needsReconnect(
  link: Pick<UserLink, 'token_expires_at' | 'refresh_token_sealed' | 'refresh_expires_at'>,
  now: number,
): boolean {
  const { token_expires_at: expires, refresh_token_sealed: refresh } = link
  if (expires === null || expires > toIsoTime(now)) return false
  const ends = link.refresh_expires_at
  return refresh === null || (ends !== null && ends <= toIsoTime(now))
}

/** Columns for the tokens of a link; to be made before a transaction begins. */
export function sealTokens(
  { keyring }: Pick<IntegrationDeps, 'keyring'>,
  linkId: string,
  tokens: UserTokens,
) {
  const seal = (secret: Secret, column: TokenColumn) =>
    keyring.seal(secret.reveal(), contextOf(linkId, column))
  const { accessToken, refreshToken } = tokens
  return {
    access_token_sealed: seal(accessToken, 'access_token_sealed'),
    refresh_token_sealed: refreshToken === null ? null : seal(refreshToken, 'refresh_token_sealed'),
    token_expires_at: tokens.expiresAt,
    refresh_expires_at: tokens.refreshExpiresAt,
  }
}

export function openToken(
  { keyring }: Pick<IntegrationDeps, 'keyring'>,
  link: UserLink,
  column: TokenColumn,
): Secret | null {
  const sealed = link[column]
  return sealed === null ? null : keyring.open(sealed, contextOf(link.id, column))
}

type TokenColumn = 'access_token_sealed' | 'refresh_token_sealed'

function contextOf(rowId: string, column: TokenColumn) {
  return { organizationId: INSTANCE, table: 'github_user_links', column, rowId }
}
