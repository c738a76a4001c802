import {
  authSession,
  backupCodeBody,
  backupCodes,
  changePasswordBody,
  done,
  emailBody,
  enabledTwoFactor,
  endedSessions,
  passwordBody,
  resetPasswordBody,
  sessions,
  setupBody,
  setupLink,
  setupState,
  signedIn,
  signInAnswer,
  signInBody,
  totpBody,
  updateMeBody,
} from './auth.ts'
import { idParams } from './common.ts'
import type { RouteDefinition } from './route.ts'

const post = { method: 'POST', status: 200 } as const
const get = { method: 'GET', status: 200 } as const

/** Signing in. These bodies have the names that the sign-in library's own clients use. */
const signInRoutes = {
  'auth.signIn': {
    ...post,
    path: '/api/auth/sign-in/email',
    summary: 'Sign in with a password',
    body: signInBody,
    response: signInAnswer,
    errors: [403, 429, 503],
  },
  'auth.signOut': {
    ...post,
    path: '/api/auth/sign-out',
    summary: 'Sign out here',
    response: done,
    errors: [],
  },
  'auth.session': {
    ...get,
    path: '/api/auth/get-session',
    summary: 'Who is signed in in this browser',
    response: authSession,
    errors: [],
  },
  'auth.verifyTotp': {
    ...post,
    path: '/api/auth/two-factor/verify-totp',
    summary: 'Send a code of the authenticator app, to sign in or to switch the second factor on',
    body: totpBody,
    response: signedIn,
    errors: [403, 409, 429, 503],
  },
  'auth.verifyBackupCode': {
    ...post,
    path: '/api/auth/two-factor/verify-backup-code',
    summary: 'Send a recovery code instead of a code, to sign in',
    body: backupCodeBody,
    response: signedIn,
    errors: [403, 409, 429, 503],
  },
  'auth.enableTwoFactor': {
    ...post,
    path: '/api/auth/two-factor/enable',
    summary: 'Begin to set up a second factor; it counts when its first code was verified',
    body: passwordBody,
    response: enabledTwoFactor,
    errors: [409, 429, 503],
  },
  'auth.disableTwoFactor': {
    ...post,
    path: '/api/auth/two-factor/disable',
    summary: 'Switch the second factor off',
    body: passwordBody,
    response: done,
    errors: [409, 429, 503],
  },
  'auth.generateBackupCodes': {
    ...post,
    path: '/api/auth/two-factor/generate-backup-codes',
    summary: 'Make new recovery codes; those of before do not work any more',
    body: passwordBody,
    response: backupCodes,
    errors: [409, 429, 503],
  },
} as const satisfies Record<string, RouteDefinition>

const passwordRoutes = {
  'auth.requestPasswordReset': {
    ...post,
    path: '/api/auth/request-password-reset',
    summary: 'Ask for a link to choose a new password; the answer is the same for every address',
    body: emailBody,
    response: done,
    errors: [403],
  },
  'auth.resetPassword': {
    ...post,
    path: '/api/auth/reset-password',
    summary: 'Choose a new password by a link; signs this person out everywhere',
    body: resetPasswordBody,
    response: done,
    errors: [403, 503],
  },
  'auth.changePassword': {
    ...post,
    path: '/api/auth/change-password',
    summary: 'Change the own password; signs out everywhere but here',
    body: changePasswordBody,
    response: done,
    errors: [409, 429, 503],
  },
} as const satisfies Record<string, RouteDefinition>

const ownRoutes = {
  'me.update': {
    method: 'PATCH',
    status: 200,
    path: '/api/me',
    summary: 'Change the own name',
    body: updateMeBody,
    response: signedIn,
    errors: [],
  },
  'sessions.list': {
    ...get,
    path: '/api/me/sessions',
    summary: 'List the browsers in which one is signed in',
    response: sessions,
    errors: [],
  },
  'sessions.endOthers': {
    method: 'DELETE',
    status: 200,
    path: '/api/me/sessions',
    summary: 'Sign out everywhere but here',
    response: endedSessions,
    errors: [],
  },
  'sessions.end': {
    method: 'DELETE',
    status: 204,
    path: '/api/me/sessions/{id}',
    summary: 'Sign out of one browser',
    params: idParams,
    response: 'empty',
    errors: [404],
  },
} as const satisfies Record<string, RouteDefinition>

const setupRoutes = {
  'setup.read': {
    ...get,
    path: '/api/setup',
    summary: 'Whether NanoScale still waits for its first person',
    response: setupState,
    errors: [],
  },
  'setup.complete': {
    method: 'POST',
    status: 201,
    path: '/api/setup',
    summary: 'Make the first person and name the organization, by the setup link',
    body: setupBody,
    response: signedIn,
    errors: [403, 409, 503],
  },
  'setup.link': {
    ...get,
    path: '/api/instance/setup-link',
    summary: 'The setup link, for whoever runs this machine',
    response: setupLink,
    errors: [403],
  },
} as const satisfies Record<string, RouteDefinition>

export const authRoutes = {
  ...signInRoutes,
  ...passwordRoutes,
  ...ownRoutes,
  ...setupRoutes,
} as const
