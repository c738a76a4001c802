import { claimInstallation } from '../integrations/claim-installation.ts'
import { finishConnect, startConnect } from '../integrations/connect-github.ts'
import { disconnectGithub } from '../integrations/disconnect-github.ts'
import { finishInstallation } from '../integrations/finish-installation.ts'
import { listUsableApps } from '../integrations/github-apps.ts'
import { listReachedInstallations } from '../integrations/installation-records.ts'
import { listUnclaimed } from '../integrations/unclaimed-installations.ts'
import { listUserLinks, needsReconnect } from '../integrations/user-links.ts'
import { OperationError } from '../lib/errors.ts'
import { githubAppHandlers } from './github-app-handlers.ts'
import { redirectToPage, tripSignal, travellerOf } from './github-trips.ts'
import { viewApp, viewInstallation, viewUnclaimed } from './github-views.ts'
import {
  askingPersonOf,
  membershipOf,
  organizationOf,
  type Handlers,
  type RequestFacts,
} from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { githubPage } from './pages/github-page.ts'

type GithubHandlers = ReturnType<typeof githubAppHandlers> & TripHandlers & ReadHandlers

type TripHandlers = Pick<
  Handlers,
  'github.start' | 'github.callback' | 'github.setup' | 'github.disconnect' | 'github.page'
>

type ReadHandlers = Pick<
  Handlers,
  'github.status' | 'github.installations' | 'github.unclaimed' | 'github.claim'
>

/** GitHub: its Apps, people's accounts there, and what is installed where. */
export function githubHandlers(app: HttpApp): GithubHandlers {
  return { ...githubAppHandlers(app), ...tripHandlers(app), ...readHandlers(app) }
}

function tripHandlers(app: HttpApp): TripHandlers {
  return {
    'github.start': async ({ body }, request) => {
      const start = {
        organizationId: organizationOf(request),
        traveller: travellerOf(request),
        integrationId: body.integration_id ?? null,
        returnTo: body.return_to ?? null,
      }
      const { url, installUrl } = await startConnect(app, start, request.signal)
      return { url, install_url: installUrl }
    },
    'github.callback': async ({ query }, request) => {
      const callback = {
        traveller: travellerOf(request),
        state: query.state ?? null,
        code: query.code ?? null,
        error: query.error ?? null,
        by: request.actor,
      }
      const end = await finishConnect(app, callback, tripSignal())
      return end.kind === 'connected'
        ? redirectToPage({ told: 'connected' }, end.returnTo)
        : redirectToPage({ error: end.error }, end.returnTo)
    },
    'github.setup': async ({ query }, request) => {
      // People come here from GitHub's own settings too: nothing is taken over, and they are told what to do.
      if (query.state === undefined) return forbiddenPage('begun_at_github')
      const setup = {
        traveller: travellerOf(request),
        state: query.state,
        installationId: query.installation_id ?? null,
      }
      const end = await finishInstallation(app, setup, request.signal)
      return redirectToPage({ told: end.kind }, end.returnTo)
    },
    'github.disconnect': async ({ body }, request) => {
      const ended = await disconnectGithub(
        app,
        {
          userId: travellerOrPersonOf(request),
          integrationId: body.integration_id ?? null,
          organizationId: request.principal?.membership?.organizationId ?? null,
          by: request.actor,
        },
        request.signal,
      )
      return { revoked: ended.revoked, project_ids: ended.projectIds }
    },
    'github.page': ({ query }) =>
      Promise.resolve(githubPage({ told: query.github ?? null, error: query.error ?? null })),
  }
}

function readHandlers(app: HttpApp): ReadHandlers {
  const { db, clock } = app
  return {
    'github.status': async (_input, request) => {
      const organizationId = organizationOf(request)
      const userId = askingPersonOf(request)
      const apps = await listUsableApps(db, organizationId)
      const links = userId === null ? [] : await listUserLinks(db, userId)
      const usable = links.filter((link) => apps.some(({ id }) => id === link.integration_id))
      const now = clock.now()
      return {
        connected: usable.length > 0,
        login: usable[0]?.github_login ?? null,
        accounts: usable.map((link) => ({
          integration_id: link.integration_id,
          login: link.github_login,
          needs_reconnect: needsReconnect(link, now),
          connected_at: link.created_at,
        })),
        apps: apps.map(viewApp),
        installations: await installationsFor(app, request),
        unclaimed: await unclaimedFor(app, request),
      }
    },
    'github.installations': async (_input, request) => ({
      items: await installationsFor(app, request),
    }),
    'github.unclaimed': async (_input, request) => ({ items: await unclaimedFor(app, request) }),
    'github.claim': async ({ params }, request) => {
      const organizationId = organizationOf(request)
      const userId = askingPersonOf(request)
      const claim = { organizationId, userId, id: params.id, by: request.actor }
      const rowId = await claimInstallation(app, claim, request.signal)
      const views = await installationsFor(app, request)
      const view = views.find(({ id }) => id === rowId)
      if (view !== undefined) return view
      throw new OperationError(
        'github.installation_not_found',
        `Cannot find installation "${params.id}"`,
      )
    },
  }
}

async function installationsFor({ db }: HttpApp, request: RequestFacts) {
  const { organizationId, role } = membershipOf(request)
  const userId = askingPersonOf(request)
  const seesClaimed = role === 'admin' || role === 'owner'
  const asker = { organizationId, userId, seesClaimed }
  const reached = await listReachedInstallations(db, asker)
  const apps = await listUsableApps(db, organizationId)
  return reached.map((one) => viewInstallation(one, apps, organizationId))
}

async function unclaimedFor({ db, clock }: HttpApp, request: RequestFacts) {
  const userId = askingPersonOf(request)
  if (userId === null) return []
  const asker = { organizationId: organizationOf(request), userId, now: clock.now() }
  return (await listUnclaimed(db, asker)).map(viewUnclaimed)
}

function forbiddenPage(error: string): Response {
  const headers = { 'content-type': 'text/html; charset=utf-8' }
  return new Response(githubPage({ told: null, error }), { status: 403, headers })
}

function travellerOrPersonOf({ principal }: RequestFacts): string {
  if (principal?.kind === 'user') return principal.userId
  throw new Error('A route of people was called by somebody else')
}
