import type { RouteDefinition } from './route.ts'

/** A page for people in a browser; what it shows and does goes through the other routes. */
function shown<const Path extends string>(path: Path, summary: string) {
  const response: 'html' = 'html'
  return { method: 'GET', path, summary, response, status: 200, errors: [] } as const
}

export const pageRoutes = {
  'pages.setup': shown('/setup', 'Where the setup link leads'),
  'pages.signIn': shown('/sign-in', 'Sign in'),
  'pages.acceptInvitation': shown('/accept-invitation', 'Where an invitation leads'),
  'pages.forgotPassword': shown('/forgot-password', 'Ask for a link to choose a new password'),
  'pages.resetPassword': shown('/reset-password', 'Where such a link leads'),
  'pages.account': shown('/account', 'What a person may see and change of the own account'),
  'pages.script': {
    method: 'GET',
    path: '/account.js',
    summary: 'The script of these pages',
    response: 'text',
    status: 200,
    errors: [],
  },
} as const satisfies Record<string, RouteDefinition>
