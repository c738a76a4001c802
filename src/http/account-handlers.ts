import {
  endOwnOtherSessions,
  endOwnSession,
  renamePerson,
  sessionIdOf,
} from '../identity/own-account.ts'
import { completeSetup, isSetupNeeded, readSetupLink } from '../identity/setup.ts'
import { listSessions } from '../identity/sign-in/sessions.ts'
import { browserOf, personOf, withCookies } from './auth-handlers.ts'
import type { Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'

type AccountHandlers = Pick<
  Handlers,
  | 'me.update'
  | 'sessions.list'
  | 'sessions.end'
  | 'sessions.endOthers'
  | 'setup.read'
  | 'setup.complete'
  | 'setup.link'
>

type AccountApp = Pick<HttpApp, 'db' | 'clock' | 'newId' | 'keyring' | 'signIn' | 'config'>

export function accountHandlers(app: AccountApp): AccountHandlers {
  return {
    'me.update': ({ body }, request) =>
      renamePerson(app, personOf(request), body.name, request.actor),
    'sessions.list': async (_input, request) => {
      const current = sessionIdOf(request.principal)
      const items = await listSessions(app.db, app, personOf(request).userId)
      return { items: items.map((item) => ({ ...item, current: item.id === current })) }
    },
    'sessions.end': ({ params }, request) =>
      endOwnSession(app, personOf(request), params.id, request.actor),
    'sessions.endOthers': async (_input, request) => {
      const current = sessionIdOf(request.principal)
      return { ended: await endOwnOtherSessions(app, personOf(request), current, request.actor) }
    },
    'setup.read': async () => ({ needed: await isSetupNeeded(app.db) }),
    'setup.complete': async ({ body }, request) => {
      const { organization_name: organizationName, ...person } = body
      const form = { ...person, organizationName }
      return withCookies(await completeSetup(app, form, browserOf(request)), 201)
    },
    'setup.link': async () => ({ url: await readSetupLink(app) }),
  }
}
