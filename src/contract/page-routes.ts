import type { RouteDefinition } from './route.ts'

/** What every page and script has in common: it is read, and asks nothing. */
const read = { method: 'GET', status: 200, errors: [] } as const
const page = { ...read, response: 'html' } as const
const script = { ...read, response: 'text' } as const

/** Pages for people in a browser, and their scripts. What they show and do goes through the other routes. */
export const pageRoutes = {
  'pages.setup': { ...page, path: '/setup', summary: 'Where the setup link leads' },
  'pages.signIn': { ...page, path: '/sign-in', summary: 'Sign in' },
  'pages.acceptInvitation': {
    ...page,
    path: '/accept-invitation',
    summary: 'Where an invitation leads',
  },
  'pages.forgotPassword': {
    ...page,
    path: '/forgot-password',
    summary: 'Ask for a link to choose a new password',
  },
  'pages.resetPassword': { ...page, path: '/reset-password', summary: 'Where such a link leads' },
  'pages.account': {
    ...page,
    path: '/account',
    summary: 'What a person may see and change of the own account',
  },
  'scripts.forms': {
    ...script,
    path: '/scripts/forms.js',
    summary: 'What the scripts of these pages share',
  },
  'scripts.signIn': {
    ...script,
    path: '/scripts/sign-in.js',
    summary: 'The script of the pages before signing in',
  },
  'scripts.account': {
    ...script,
    path: '/scripts/account.js',
    summary: 'The script of the page of the own account',
  },
} as const satisfies Record<string, RouteDefinition>
