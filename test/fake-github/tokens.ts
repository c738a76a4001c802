import { createHash, randomBytes } from 'node:crypto'

import { now } from './github.ts'
import type { Github } from './github.ts'
import type {
  App,
  Installation,
  InstallationToken,
  Permissions,
  RefreshToken,
  UserToken,
} from './state.ts'

const HOUR_MS = 3_600_000
export const INSTALLATION_TOKEN_MS = HOUR_MS
export const USER_TOKEN_SECONDS = 28_800
export const REFRESH_TOKEN_SECONDS = 15_897_600

/** Length of the installation tokens that GitHub gives since 2026. */
const INSTALLATION_TOKEN_LENGTH = 520

/** `length` letters and digits that nobody can guess. */
export function randomText(length: number): string {
  let text = ''
  while (text.length < length) text += randomBytes(length).toString('base64').replace(/\W/g, '')
  return text.slice(0, length)
}

export function randomHex(length: number): string {
  return randomBytes(length).toString('hex').slice(0, length)
}

/** `ghs_<app id>_<JWT>` of today's length, with the two dots that break narrow patterns. */
function installationTokenText(appId: number): string {
  const header = Buffer.from('{"alg":"ES256","typ":"JWT"}').toString('base64url')
  const start = `ghs_${appId}_${header}.`
  const signature = randomText(86)
  const payload = randomText(INSTALLATION_TOKEN_LENGTH - start.length - signature.length - 1)
  return `${start}${payload}.${signature}`
}

export function createInstallationToken(
  github: Github,
  installation: Installation,
  options: {
    permissions: Permissions
    repositoryIds: readonly number[] | null
    unknownFor: number
  },
): InstallationToken {
  const createdAt = now(github)
  const token: InstallationToken = {
    kind: 'installation',
    token: installationTokenText(installation.appId),
    installationId: installation.id,
    permissions: options.permissions,
    repositoryIds: options.repositoryIds,
    createdAt,
    expiresAt: createdAt + INSTALLATION_TOKEN_MS,
    unknownFor: options.unknownFor,
  }
  github.state.installationTokens.set(token.token, token)
  return token
}

/** A person's token for an App, with its refresh token when the App's tokens expire. */
export function createUserToken(
  github: Github,
  app: App,
  userId: number,
): { token: UserToken; refresh: RefreshToken | null } {
  const createdAt = now(github)
  const token: UserToken = {
    kind: 'user',
    token: `ghu_${randomText(36)}`,
    userId,
    appId: app.id,
    scopes: [],
    createdAt,
    expiresAt: app.expiringUserTokens ? createdAt + USER_TOKEN_SECONDS * 1000 : null,
    unknownFor: 0,
  }
  github.state.userTokens.set(token.token, token)
  if (!app.expiringUserTokens) return { token, refresh: null }
  const refresh: RefreshToken = {
    token: `ghr_${randomText(76)}`,
    accessToken: token.token,
    userId,
    appId: app.id,
    expiresAt: createdAt + REFRESH_TOKEN_SECONDS * 1000,
  }
  github.state.refreshTokens.set(refresh.token, refresh)
  return { token, refresh }
}

/** A classic personal access token: acts as its person, with all that they may do for the scope `repo`. */
export function createPersonalToken(
  github: Github,
  userId: number,
  scopes: readonly string[],
): UserToken {
  const token: UserToken = {
    kind: 'user',
    token: `ghp_${randomText(36)}`,
    userId,
    appId: null,
    scopes,
    createdAt: now(github),
    expiresAt: null,
    unknownFor: 0,
  }
  github.state.userTokens.set(token.token, token)
  return token
}

export function revokeUserToken(github: Github, accessToken: string): void {
  github.state.userTokens.delete(accessToken)
  for (const refresh of github.state.refreshTokens.values()) {
    if (refresh.accessToken === accessToken) github.state.refreshTokens.delete(refresh.token)
  }
}

/** Ends everything that an App holds of a person. */
export function revokeGrant(github: Github, appId: number, userId: number): void {
  github.state.authorizations.delete(`${appId}:${userId}`)
  for (const token of github.state.userTokens.values()) {
    if (token.appId === appId && token.userId === userId) revokeUserToken(github, token.token)
  }
}

export function revokeInstallationTokens(github: Github, installationId: number): void {
  for (const token of github.state.installationTokens.values()) {
    if (token.installationId === installationId) {
      github.state.installationTokens.delete(token.token)
    }
  }
}

/** S256 of PKCE. */
export function toChallenge(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}
