import type { BetterAuthOptions } from 'better-auth'
import type { TwoFactorOptions } from 'better-auth/plugins'

import type { NewId } from '../../lib/ids.ts'
import type { Logger } from '../../lib/logger.ts'
import type { SessionCookies } from './session-cookie.ts'
import { hashIdentifier } from './verifications.ts'

export const MIN_PASSWORD_LENGTH = 10
export const MAX_PASSWORD_LENGTH = 128
/** How long a link to choose a new password works. */
export const RESET_LINK_SECONDS = 3600
/** The header that tells the library where a request comes from: ours, so that no client can send it. */
export const ADDRESS_HEADER = 'x-nanoscale-address'

const timestamps = { createdAt: 'created_at', updatedAt: 'updated_at' }

/** What the sign-in library may do, and where its tables are. Everything it can do besides is switched off. */
export function libraryOptions(deps: {
  publicBaseUrl: string
  secret: string
  cookies: SessionCookies
  newId: NewId
  log: Pick<Logger, 'error'>
}): BetterAuthOptions {
  const { cookies } = deps
  return {
    appName: 'NanoScale',
    baseURL: deps.publicBaseUrl,
    basePath: '/api/auth',
    secret: deps.secret,
    trustedOrigins: [new URL(deps.publicBaseUrl).origin],
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      autoSignIn: false,
      minPasswordLength: MIN_PASSWORD_LENGTH,
      maxPasswordLength: MAX_PASSWORD_LENGTH,
      resetPasswordTokenExpiresIn: RESET_LINK_SECONDS,
      revokeSessionsOnPasswordReset: true,
    },
    ...tables(cookies),
    // Ours counts in the database, over all processes and by account: see `throttle-sign-in.ts`.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    onAPIError: { throw: true },
    logger: {
      level: 'error',
      // Its further arguments may hold what people sent.
      log: (_level, message) => deps.log.error('The sign-in library failed', { reason: message }),
    },
    advanced: {
      database: { generateId: () => deps.newId() },
      ipAddress: { ipAddressHeaders: [ADDRESS_HEADER] },
      // The library's own prefix would be `__Secure-`; ours is in the names.
      useSecureCookies: false,
      cookiePrefix: cookies.prefix,
      cookies: { session_token: { name: cookies.name } },
      defaultCookieAttributes: {
        secure: cookies.secure,
        httpOnly: true,
        sameSite: 'lax',
        path: '/',
      },
    },
  }
}

function tables(cookies: SessionCookies) {
  return {
    user: {
      modelName: 'users',
      fields: { ...timestamps, emailVerified: 'email_verified' },
      changeEmail: { enabled: false },
      deleteUser: { enabled: false },
    },
    session: {
      modelName: 'sessions',
      fields: {
        ...timestamps,
        userId: 'user_id',
        expiresAt: 'expires_at',
        ipAddress: 'ip_address',
        userAgent: 'user_agent',
      },
      expiresIn: cookies.lifetimeMs / 1000,
      // `authenticateSession()` renews.
      disableSessionRefresh: true,
      cookieCache: { enabled: false },
    },
    account: {
      modelName: 'accounts',
      fields: {
        ...timestamps,
        userId: 'user_id',
        providerId: 'provider_id',
        accountId: 'account_id',
        accessToken: 'access_token',
        refreshToken: 'refresh_token',
        idToken: 'id_token',
        accessTokenExpiresAt: 'access_token_expires_at',
        refreshTokenExpiresAt: 'refresh_token_expires_at',
      },
      accountLinking: { enabled: false },
      storeAccountCookie: false,
    },
    verification: {
      modelName: 'verifications',
      fields: { ...timestamps, expiresAt: 'expires_at' },
      storeIdentifier: { hash: (text: string) => Promise.resolve(hashIdentifier(text)) },
    },
  }
}

/** The second factor: codes of an authenticator app, and recovery codes. Browsers are never trusted to skip it. */
export function twoFactorOptions(): TwoFactorOptions {
  return {
    issuer: 'NanoScale',
    backupCodeOptions: { storeBackupCodes: 'encrypted' },
    accountLockout: { enabled: true, maxFailedAttempts: 10, durationSeconds: 900 },
    schema: {
      user: { fields: { twoFactorEnabled: 'two_factor_enabled' } },
      twoFactor: {
        modelName: 'two_factors',
        fields: {
          userId: 'user_id',
          backupCodes: 'backup_codes',
          failedVerificationCount: 'failed_verification_count',
          lockedUntil: 'locked_until',
        },
      },
    },
  }
}
