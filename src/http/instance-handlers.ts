import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { nanoscaleSchema } from '../builds/nanoscale-json.ts'
import type { Principal } from '../identity/principal.ts'
import { isSetupNeeded } from '../identity/setup.ts'
import { OperationError } from '../lib/errors.ts'
import { docsPage } from './docs-page.ts'
import type { Handlers, RequestFacts, StreamEvent } from './handler.ts'
import { homePage, type Viewer } from './home-page.ts'
import type { HttpApp, RotationProgress } from './http-app.ts'
import type { RequestMetrics } from './request-metrics.ts'
import { readStateMetrics } from './state-metrics.ts'
import { createWakeUps } from './wake-ups.ts'

type InstanceHandlers = Pick<
  Handlers,
  | 'instance.read'
  | 'keys.status'
  | 'keys.rotate'
  | 'keys.retire'
  | 'health'
  | 'readiness'
  | 'metrics'
  | 'openapi'
  | 'appSchema'
  | 'docs'
  | 'home'
>

interface InstanceHandlerDeps {
  metrics: Pick<RequestMetrics, 'print'>
  /** The OpenAPI document, made when it is first asked for. */
  openApiDocument(): Record<string, unknown>
}

const ROTATION_POLL_MS = 1000

export function instanceHandlers(app: HttpApp, deps: InstanceHandlerDeps): InstanceHandlers {
  return { ...factHandlers(app, deps), ...keyHandlers(app) }
}

function factHandlers(app: HttpApp, deps: InstanceHandlerDeps) {
  return {
    'instance.read': async (_input, request) => ({
      version: app.instance.version,
      node_version: process.versions.node,
      database_engine: app.config.database.engine,
      isolation: await app.instance.isolation(),
      base_domain: app.config.baseDomain,
      public_base_url: app.config.publicBaseUrl,
      traffic_url: app.config.trafficUrl,
      started_at: app.instance.startedAt,
      findings: await app.instance.doctor(request.signal),
    }),
    health: () => Promise.resolve({ status: 'ok' as const }),
    readiness: async (_input, request) => {
      const facts = Object.entries(await app.instance.readiness(request.signal))
      const ready = facts.every(([, works]) => works)
      const checks = facts.map(([name, works]) => [name, works ? 'ok' : 'failed'] as const)
      const body = { ready, checks: Object.fromEntries(checks) }
      return Response.json(body, { status: ready ? 200 : 503 })
    },
    metrics: async () => {
      const parts = [deps.metrics.print(), await readStateMetrics(app.db)]
      if (app.instance.metrics !== undefined) parts.push(await app.instance.metrics())
      return parts.join('')
    },
    openapi: () => Promise.resolve(deps.openApiDocument()),
    appSchema: () => Promise.resolve(nanoscaleSchema()),
    docs: () => Promise.resolve(docsPage()),
    home: async (_input, request) => homePage(app.config, await viewerOf(app, request.principal)),
  } satisfies Partial<InstanceHandlers>
}

async function viewerOf(app: Pick<HttpApp, 'db'>, principal: Principal | null): Promise<Viewer> {
  if (principal?.kind === 'user') return { kind: 'person', name: principal.name }
  return { kind: (await isSetupNeeded(app.db)) ? 'nobodyYet' : 'stranger' }
}

function keyHandlers(app: HttpApp) {
  return {
    'keys.status': async () => {
      const keys = await app.instance.keyStatus()
      const items = keys.map((key) => ({
        id: key.id,
        current: key.current,
        sealed_values: key.sealedValues,
        created_at: key.createdAt,
        retired_at: key.retiredAt,
      }))
      return { items }
    },
    'keys.rotate': (_input, request) => Promise.resolve({ events: rotation(app, request) }),
    'keys.retire': async ({ params }, request) => {
      const known = (await app.instance.keyStatus()).some((key) => key.id === params.id)
      if (!known) throw new OperationError('keyring.not_found', `Cannot find key "${params.id}"`)
      await app.instance.retireKey(params.id)
      await recordAuditEvent(app, app.db, {
        organizationId: null,
        by: request.actor,
        action: 'keys.retired',
        target: { kind: 'key', id: params.id },
      })
    },
  } satisfies Partial<InstanceHandlers>
}

/** Only the newest progress waits for a slow reader. */
async function* rotation(
  app: HttpApp,
  { actor, signal }: RequestFacts,
): AsyncGenerator<StreamEvent> {
  const wakeUps = createWakeUps(app.clock)
  let newest: RotationProgress | null = null
  let isOver = false
  let resealed = 0
  const work = app.instance
    .rotateKeys((progress) => {
      newest = progress
      resealed = progress.resealed
      wakeUps.wake()
    })
    // Its own transactions are many; it is a fact when the last one is stored.
    .then(() =>
      recordAuditEvent(app, app.db, {
        organizationId: null,
        by: actor,
        action: 'keys.rotated',
        details: { resealed },
      }),
    )
    .finally(() => {
      isOver = true
      wakeUps.wake()
    })
  // It is awaited at the end; until then its failure must not end this process.
  work.catch(() => {})
  const taken = (): RotationProgress | null => {
    const progress = newest
    newest = null
    return progress
  }
  while (!signal.aborted) {
    const progress = taken()
    if (progress !== null) {
      const text = `${progress.resealed} of ${progress.total ?? '?'}\n`
      yield { event: 'progress', data: progress, text }
    } else if (isOver) {
      await work
      yield { event: 'end', data: {}, text: 'done\n' }
      return
    } else {
      await wakeUps.sleep(ROTATION_POLL_MS, signal)
    }
  }
}
