import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Config } from '../../config/config.ts'
import type { Mailer } from '../../mail/create-mailer.ts'
import type { Handlers } from '../handler.ts'
import { accountPage } from './account-page.ts'
import {
  acceptInvitationPage,
  forgotPasswordPage,
  resetPasswordPage,
  setupPage,
  signInPage,
} from './sign-in-pages.ts'

type PageHandlers = Pick<Handlers, Extract<keyof Handlers, `pages.${string}` | `scripts.${string}`>>

/** The pages on which people sign in and look after their account. */
export function pageHandlers(app: {
  config: Pick<Config, 'oidcIssuer' | 'oidcName'>
  mailer: Pick<Mailer, 'configured'>
}): PageHandlers {
  const oidcName = app.config.oidcIssuer === null ? null : app.config.oidcName
  return {
    'pages.setup': () => Promise.resolve(setupPage()),
    'pages.signIn': () => Promise.resolve(signInPage(oidcName)),
    'pages.acceptInvitation': () => Promise.resolve(acceptInvitationPage(oidcName)),
    'pages.forgotPassword': () => Promise.resolve(forgotPasswordPage(app.mailer.configured)),
    'pages.resetPassword': () => Promise.resolve(resetPasswordPage()),
    'pages.account': () => Promise.resolve(accountPage(oidcName)),
    'scripts.forms': () => readScript('forms.js'),
    'scripts.signIn': () => readScript('sign-in.js'),
    'scripts.account': () => readScript('account.js'),
  }
}

async function readScript(name: string): Promise<Response> {
  const text = await readFile(join(import.meta.dirname, 'scripts', name), 'utf8')
  return new Response(text, { headers: { 'content-type': 'text/javascript; charset=utf-8' } })
}
