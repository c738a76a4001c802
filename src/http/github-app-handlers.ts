import {
  addAppKey,
  recheckApp,
  removeApp,
  rotateWebhookSecret,
} from '../integrations/change-app.ts'
import { finishManifest, startManifest } from '../integrations/create-app-by-manifest.ts'
import { examineApp } from '../integrations/examine-apps.ts'
import { listApps } from '../integrations/github-apps.ts'
import { Secret } from '../lib/secret.ts'
import { redirectToPage, tripSignal, travellerOf } from './github-trips.ts'
import { viewApp, viewExaminedApp } from './github-views.ts'
import { organizationOf, type Handlers, type RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'

type AppHandlers = Pick<
  Handlers,
  | 'github.apps'
  | 'github.manifest'
  | 'github.manifestCallback'
  | 'github.checkApp'
  | 'github.addKey'
  | 'github.rotateWebhookSecret'
  | 'github.removeApp'
>

/** So long GitHub may take to tell about all Apps of a list. */
const EXAMINE_MS = 15_000

export function githubAppHandlers(app: HttpApp): AppHandlers {
  return {
    'github.apps': async (_input, request) => {
      const rows = await listApps(app.db, organizationOf(request))
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(EXAMINE_MS)])
      const examined = await Promise.all(rows.map((row) => examineApp(app, row, signal)))
      return { items: examined.map(viewExaminedApp) }
    },
    'github.manifest': async ({ body }, request) => {
      const { url, manifest } = await startManifest(app, {
        organizationId: organizationOf(request),
        traveller: travellerOf(request),
        owner: body.owner,
        preset: body.preset,
        optionalPermissions: body.optional_permissions ?? [],
        name: body.name ?? null,
        githubUrl: body.github_url ?? null,
      })
      return { url, manifest: { ...manifest } }
    },
    'github.manifestCallback': async ({ query }, request) => {
      const end = await finishManifest(
        app,
        {
          traveller: travellerOf(request),
          state: query.state ?? null,
          code: query.code ?? null,
          by: request.actor,
        },
        tripSignal(),
      )
      if (end.kind === 'refused') return redirectToPage({ error: end.error })
      return redirectToPage({ told: end.reason === null ? 'app_created' : 'app_pending' })
    },
    'github.checkApp': async ({ params }, request) =>
      viewApp(await recheckApp(app, changeOf(params.id, request), request.signal)),
    'github.addKey': async ({ params, body }, request) => {
      const key = new Secret(body.private_key)
      await addAppKey(app, changeOf(params.id, request), key, request.signal)
    },
    'github.rotateWebhookSecret': async ({ params }, request) => {
      // Whoever asked may be gone: GitHub and we must not stay with different secrets.
      await rotateWebhookSecret(app, changeOf(params.id, request), tripSignal())
    },
    'github.removeApp': async ({ params }, request) => {
      await removeApp(app, changeOf(params.id, request))
    },
  }
}

function changeOf(integrationId: string, request: RequestFacts) {
  return { organizationId: organizationOf(request), integrationId, by: request.actor }
}
